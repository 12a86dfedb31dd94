# Misora: one non-recursive makefile. Objects live in build/$(MODE)/, so modes never mix.
#   make demo            from a prompt to out/demo.mp4, installing what is missing
#   make test            everything that CI runs
# `make help` lists the rest.
MODE   ?= release
B      := build/$(MODE)
CC     ?= cc
AR     ?= ar
PROMPT ?= a woman in a red coat walks down a wet neon street at night
OUT    ?= out/demo.mp4
T      ?=
SEEDS  ?= 50
FIRST  ?= 1
FUZZ   ?=
SECONDS ?= 60
MODEL  ?= models/tiny
EVAL   ?= full
# auto: the CUDA backend is built when nvcc is on the PATH or in /usr/local/cuda. 1: looked for everywhere, or fail. 0: never.
CUDA    ?= auto

WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Wformat=2 -Wundef $(if $(WERROR),-Werror)
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
FLAGS_debug   := -O0 -g
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_fuzz    := -O1 -g -fsanitize=address,undefined,fuzzer-no-link
FLAGS_cov     := -O0 -g --coverage
SANITIZE := $(filter -fsanitize% --coverage,$(FLAGS_$(MODE)))

PKGS    := libmicrohttpd jansson hiredis libuv libcurl libavformat libavcodec libavutil libswscale openblas
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CFLAGS  += -std=c11 -D_GNU_SOURCE $(WARN) $(FLAGS_$(MODE)) -I. -I$(B)/gen $(PKG_CFLAGS) -pthread -MMD -MP
LDFLAGS += $(SANITIZE) -Wl,-z,relro,-z,now -Wl,--as-needed
LDLIBS  += $(PKG_LIBS) -lm -ldl -pthread

# The world must give the same bytes everywhere: no fused multiply-add, no reassociation. gcc renders
# faster when it is told to inline and vectorise more; bytes are compared by tools/world_bytes.sh.
WORLD_FAST := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),,-finline-limit=2000 \
              --param max-inline-insns-auto=200 -fvect-cost-model=unlimited)
CFLAGS_train/world := $(if $(filter release,$(MODE)),-O3 $(WORLD_FAST)) -ffp-contract=off -fno-math-errno \
                      -fno-trapping-math -fno-signed-zeros
CFLAGS_engine      := $(if $(filter release,$(MODE)),-O3)

# One short line a file; V=1 shows the commands.
say      = $(if $(V),,@echo "  $(1) $@";)

src      = $(filter-out %/main.c %_main.c,$(wildcard $(addsuffix /*.c,$(1))))
obj      = $(patsubst %.c,$(B)/%.o,$(1))
SRC_base   := $(call src,common/base)
SRC_common := $(call src,common)
SRC_engine := $(call src,engine engine/cpu)
SRC_words  := $(call src,common/words)
SRC_world  := $(call src,train/world)
SRC_decode := $(call src,decode)
SRC_server := $(call src,server)
SRC_worker := $(call src,worker worker/media)
SRC_tools  := $(call src,tools)
SRC_eval   := $(call src,eval)
PARTS      := base common words engine world decode server worker tools eval
lib         = $(patsubst %,$(B)/lib%.a,$(1))
GEN_common := $(B)/gen/lua_text.o
GEN_server := $(B)/gen/page_files.o

PROGRAMS := $(addprefix $(B)/,misora-server misora-worker misora-decode misora worldgen misora-eval)
UNIT     := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c tests/parity/test_*.c tests/eval/test_*.c))

.PHONY: train-smoke help all cuda doctor install demo run gallery eval test test-unit test-integration sim mutate bench sanitize lint format \
        format-check clean $(addprefix lib,$(PARTS)) tests-built fuzz fuzz-built

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 20

all: $(PROGRAMS) ## build the programs into build/$(MODE)/

doctor: ## what was found: compiler, libraries, servers, processor
	@tools/doctor.sh $(PKGS)

install: ## install the Debian packages that building and running need
	@tools/install.sh build

demo: ## from PROMPT="..." to OUT=out/demo.mp4 through the whole service, then stop
	@tools/install.sh build
	@$(MAKE) --no-print-directory -j2 all
	@tools/demo.sh $(B) "$(PROMPT)" "$(OUT)"

run: ## the whole stack in the foreground
	@tools/install.sh build
	@$(MAKE) --no-print-directory -j2 all
	@tools/stack.sh $(B)

test: ## lint, unit, parity, simulator, contract and integration tests; last line counts them
	@tools/install.sh test
	@$(MAKE) --no-print-directory -j2 all tests-built
	@tools/test.sh $(B)

tests-built: $(UNIT)

test-unit: $(UNIT) ## unit and parity tests; T=name runs one file
	@tools/test_unit.sh $(B) $(T)

fuzz: ## strangers' files against the fuzzers (clang): SECONDS=60 each, FUZZ=name runs one
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang -j2 fuzz-built
	@tools/fuzz.sh build/fuzz $(SECONDS) $(FUZZ)

test-integration: all ## tests against real Redis, nginx and clients; T=expression selects
	@tools/test_integration.sh $(B) $(T)

train-smoke: $(PROGRAMS) ## the whole training on tiny networks; TRAIN_PYTHON=python with torch
	@tools/test_train.sh $(B)

sim: ## job simulator on a real Redis: SEEDS=n FIRST=seed
	@python3 tests/sim/sim.py --seeds $(SEEDS) --first $(FIRST)

mutate: ## every mutant of the job functions must be caught by the simulator
	@python3 tests/sim/mutate.py

bench: ## benchmarks, one JSON object a line; BENCH="dit_step text_encode" selects (tests/bench/bench.py --list)
	@tools/install.sh bench >&2
	@$(MAKE) --no-print-directory -j2 all tests-built $(B)/bench_engine $(B)/bench_tasks >&2
	@tools/bench.sh $(B) $(BENCH)

sanitize: ## unit and parity tests and short clips under ASan with UBSan, then under TSan
	@tools/install.sh build >&2
	@for m in asan tsan; do $(MAKE) --no-print-directory MODE=$$m -j2 tests-built build/$$m/misora build/$$m/misora-decode && \
	    tools/sanitize.sh build/$$m || exit 1; done

gallery: $(B)/worldgen ## a page of the synthetic world in out/gallery/
	@tools/gallery.sh $(B) out/gallery

eval: ## judge MODEL=models/tiny: EVAL=full, quick or ci; TEACHER=DIR for a distilled one (docs/EVAL.md)
	@tools/install.sh build
	@$(MAKE) --no-print-directory -j2 $(B)/misora-eval
	@tools/eval.sh $(B) $(MODEL) $(EVAL) $(TEACHER)

lint: all ## layers, doors, symbol prefixes, sizes, banned calls
	@tools/lint/all.sh $(B)

format: ## clang-format over the tree
	@git ls-files '*.c' '*.h' | xargs clang-format -i

format-check: ## fails when clang-format would change a file
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

clean: ## remove build/
	rm -rf build

$(foreach p,$(PARTS),$(eval lib$(p): $(B)/lib$(p).a))
$(foreach p,$(PARTS),$(eval $(B)/lib$(p).a: $(call obj,$(SRC_$(p))) $(GEN_$(p))))
$(B)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

link = $(call say,LD)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

$(B)/misora-server: $(call obj,server/main.c) $(call lib,server common words base)
	$(link)
$(B)/misora-worker: $(call obj,worker/main.c) $(call lib,worker engine common base)
	$(link)
$(B)/misora-decode: $(call obj,decode/main.c) $(call lib,decode base)
	$(link)
$(B)/misora: $(call obj,tools/main.c) $(call lib,tools worker engine common words base)
	$(link)
$(B)/misora-eval: $(call obj,eval/main.c) $(call lib,eval worker engine common world words base)
	$(link)
$(B)/worldgen: $(call obj,train/world/main.c) $(call lib,world words base)
	$(link)

# A test links the parts whose headers it includes, and what these stand on.
needs_base   := base
needs_common := common base
needs_engine := engine base
needs_words  := words base
needs_world  := world words base
needs_decode := decode base
needs_server := server common words base
needs_worker := worker engine common base
needs_eval   := eval worker engine common world words base
needs_tools  := tools worker engine common words base
parts_of = $(subst common/words,words,$(subst train/world,world,$(shell grep -ohE '^\#include "(common/words|common|decode|engine|train/world|server|worker|tools|eval)/' $(1) | sed -E 's/.*"(.*)\//\1/' | sort -u)))
LIB_OBJ := $(call obj,$(wildcard tests/lib/*.c tests/fuzz/fz_*.c))
define test_rule
$(B)/$(1): $(B)/$(1).o $(B)/libtestlib.a $(call lib,$(sort $(foreach p,base $(call parts_of,$(1).c),$(needs_$(p)))))
	@mkdir -p $$(@D)
	$$(link)
endef
$(foreach t,$(patsubst $(B)/%,%,$(UNIT)),$(eval $(call test_rule,$(t))))
$(B)/libtestlib.a: $(LIB_OBJ)

# What the benchmarks ask: parts of a model, one at a time, and tasks on a whole one.
BENCH_OBJ := $(call obj,$(filter-out tests/bench/bench_%,$(wildcard tests/bench/*.c)))
$(B)/bench_%: $(B)/tests/bench/bench_%.o $(BENCH_OBJ) $(call lib,engine base)
	$(link)

# One program for each function of tests/fuzz/fuzz.h.
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fz_*.c))
fuzz-built: $(FUZZERS)
$(FUZZERS): $(B)/fuzz/%: tests/fuzz/fuzz_main.c $(B)/libtestlib.a $(call lib,engine base)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) -DFUZZ_TARGET=$* $(LDFLAGS) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# The CUDA backend is a library that programs load when they are asked for such a device.
# Code for Ampere, Ada and Hopper, and PTX for what comes after; CUDA_GENCODE= builds for one only.
CUDA_SRC := $(wildcard engine/cuda/*.cu)
NVCC     := $(if $(filter 0,$(CUDA)),,$(if $(filter 1,$(CUDA)),$(shell tools/cuda_find.sh nvcc),$(firstword \
            $(wildcard $(addsuffix /nvcc,$(subst :, ,$(PATH))) /usr/local/cuda/bin/nvcc))))
CUDA_GENCODE ?= -gencode arch=compute_80,code=sm_80 -gencode arch=compute_89,code=sm_89 \
                -gencode arch=compute_90a,code=sm_90a -gencode arch=compute_90,code=compute_90
CUDA_LIBRARY := $(if $(NVCC)$(filter 1,$(CUDA)),$(B)/libmisora-cuda.so)
CUDA_HOST := $(addprefix $(B)/pic/,common/base/err.o engine/tensor.o)
NVCCFLAGS = -std=c++17 -O3 -lineinfo -I. -I$(shell tools/cuda_find.sh include) $(CUDA_GENCODE) \
            $(if $(findstring sm_90a,$(CUDA_GENCODE)),-DCUDA_HAS_SM90A=1) \
            -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra $(if $(WERROR),-Werror all-warnings)
cuda: $(CUDA_LIBRARY) ## the CUDA backend alone (CUDA=1)
all: $(CUDA_LIBRARY)
$(B)/libmisora-cuda.so: $(patsubst %.cu,$(B)/%.cu.o,$(CUDA_SRC)) $(CUDA_HOST)
	$(call say,LD)$(NVCC) -shared -cudart static $(addprefix -L$(dir $(NVCC))../,lib lib64) -o $@ $^ -Xlinker -rpath=$(shell tools/cuda_find.sh lib) \
	    -Xlinker $(firstword $(wildcard $(shell tools/cuda_find.sh lib)/libcublasLt.so*))
$(B)/%.cu.o: %.cu
	@test -n "$(NVCC)" || { echo "CUDA=1: there is no nvcc (tools/cuda_find.sh)" >&2; exit 1; }
	@mkdir -p $(@D)
	$(call say,NVCC)$(NVCC) $(NVCCFLAGS) -MMD -MF $(@:.o=.d) -c -o $@ $<
$(B)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

# The same kernels on the processor, for tests of machines without a device (tests/emu). Its threads
# are coroutines, which sanitizers do not follow.
EMU_SRC := $(filter-out engine/cuda/cuda_blas.cu,$(CUDA_SRC)) $(wildcard tests/emu/*.cc)
EMU_OBJ := $(patsubst %,$(B)/emu/%.o,$(EMU_SRC))
EMUFLAGS := -std=c++17 -O2 -g -fPIC -fvisibility=hidden -U_FORTIFY_SOURCE -I. -Itests/emu -Wall -Wextra \
            -Wno-unknown-pragmas $(if $(WERROR),-Werror) -MMD -MP -DCUDA_HAS_SM90A=1 -include tests/emu/cuda_hopper_emu.h
tests-built: $(if $(filter release debug,$(MODE)),$(B)/libmisora-emu.so)
$(B)/libmisora-emu.so: $(EMU_OBJ) $(CUDA_HOST)
	$(call say,LD)$(CXX) -shared -o $@ $^
$(B)/emu/%.o: %
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(EMUFLAGS) -x c++ -c -o $@ $<

$(B)/gen/lua_text.c: $(sort $(wildcard common/lua/*.lua)) $(sort $(wildcard migrations/*.lua)) tools/embed.sh
	@mkdir -p $(@D)
	@tools/embed.sh lua_text $(filter %.lua,$^) > $@
$(B)/gen/page_files.c: $(sort $(wildcard web/*)) tools/embed_page.sh
	@mkdir -p $(@D)
	@tools/embed_page.sh $(filter web/%,$^) > $@.new && mv $@.new $@
$(B)/gen/%.o: $(B)/gen/%.c
	$(call say,CC)$(CC) $(CFLAGS) -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS) $(CFLAGS_$(patsubst %/,%,$(dir $<))) $(if $(filter engine/%,$<),$(CFLAGS_engine)) -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.SECONDARY:
