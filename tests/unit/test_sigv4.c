/* The examples of the S3 documentation, to the byte. */
#include "common/sigv4.h"

#include "tests/lib/check.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_keys keys = {"AKIAIOSFODNN7EXAMPLE",
                                       "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"};

#define HOST \
    { "host", "examplebucket.s3.amazonaws.com" }
#define EMPTY_BODY \
    { "x-amz-content-sha256", EMPTY }
#define DATE \
    { "x-amz-date", "20130524T000000Z" }

static const struct {
    struct sigv4_call call;
    const char *signature;
} rows[] = {
    {{"GET",
      "/test.txt",
      "",
      EMPTY,
      "20130524T000000Z",
      {HOST, {"range", "bytes=0-9"}, EMPTY_BODY, DATE}},
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {{"PUT",
      "/test%24file.text",
      "",
      "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "20130524T000000Z",
      {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
       HOST,
       {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
       DATE,
       {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}},
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {{"GET", "/", "lifecycle=", EMPTY, "20130524T000000Z", {HOST, EMPTY_BODY, DATE}},
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {{"GET", "/", "max-keys=2&prefix=J", EMPTY, "20130524T000000Z", {HOST, EMPTY_BODY, DATE}},
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void signatures_are_those_of_the_documentation(void) {
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct buf b;
        struct fail f = {0};
        buf_make(&b, 1024);
        CHECK_OK(sigv4_authorize(&b, &rows[i].call, &keys, &f), &f);
        CHECK_HAS(buf_str(&b), rows[i].signature);
        CHECK_HAS(buf_str(&b), "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                               "SignedHeaders=");
        buf_free(&b);
    }
}

static void the_link_is_that_of_the_documentation(void) {
    static const struct sigv4_call call = {
        "GET", "/test.txt", "", "UNSIGNED-PAYLOAD", "20130524T000000Z", {HOST}};
    struct buf b;
    struct fail f = {0};
    buf_make(&b, 1024);
    CHECK_OK(sigv4_link(&b, &call, 86400, &keys, &f), &f);
    CHECK_STR(buf_str(&b),
              "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%"
              "2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
              "X-Amz-SignedHeaders=host&X-Amz-Signature="
              "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buf_free(&b);
}

static void dates_and_signs_are_written_as_s3_reads_them(void) {
    char date[SIGV4_DATE_SIZE];
    struct buf b;
    sigv4_date(date, 1369353600000);
    CHECK_STR(date, "20130524T000000Z");
    buf_make(&b, 100);
    CHECK_INT(sigv4_encode(&b, "a/b c+d~e.f_g-h=\xc3\xa4", NULL), ERR_OK);
    CHECK_STR(buf_str(&b), "a%2Fb%20c%2Bd~e.f_g-h%3D%C3%A4");
    buf_free(&b);
}

static const struct test tests[] = {
    TEST(signatures_are_those_of_the_documentation),
    TEST(the_link_is_that_of_the_documentation),
    TEST(dates_and_signs_are_written_as_s3_reads_them),
};
TEST_MAIN(tests)
