/* fuzz.h - what strangers' bytes meet, one function for each kind of file.
 *
 * A target reads the bytes as that kind of file and aborts when a promise is broken: what is
 * accepted obeys the rules of its format. libFuzzer drives them (`make fuzz`), and the corpora are
 * replayed as a unit test (test_fuzz.c). A failure is kept as a seed in corpus/TARGET/. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

typedef void (*fuzz_fn)(const uint8_t *data, size_t size);

void fz_safetensors(const uint8_t *data, size_t size); /* one weight file */
void fz_model_index(const uint8_t *data, size_t size); /* four JSON files, NUL between them */
void fz_tokenizer(const uint8_t *data, size_t size);   /* spiece.model or tokenizer.json */
void fz_prompt(const uint8_t *data, size_t size);      /* a prompt */
void fz_json(const uint8_t *data, size_t size);        /* a config file */
void fz_lora(const uint8_t *data, size_t size);        /* a LoRA file */

#endif
