# make build | image | test | unit | corpus | sim | e2e | e2e-real | faults | generated | lint | manifests | fmt | fuzz |
# demo | bench | soak | availability | planted | examples | deps | install | clean
# BUILD=debug|release|asan  CC=gcc|clang
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD ?= debug
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.0.0)

# Lower layers last: a static library may only use what stands to its right.
LAYERS := operator router availability forecast plan inspect convert api kube net base
# No package needs another's internals: everything is included as "package/header.h".
PKGS := libcurl jansson yaml-0.1 libuv libmicrohttpd
OUT := build/$(BUILD)-$(notdir $(CC))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wformat=2 -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wswitch-enum -Wconversion -Wno-sign-conversion \
	-Wimplicit-fallthrough -Wdouble-promotion -Wno-missing-field-initializers
CFLAGS_debug := -O1 -g -fno-omit-frame-pointer
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CPPFLAGS := -Ipkg -D_GNU_SOURCE -DINSTANCEPOOL_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS := -std=gnu17 $(WARNINGS) $(CFLAGS_$(BUILD)) $(EXTRA_CFLAGS)
LDFLAGS := $(LDFLAGS_$(BUILD)) $(EXTRA_LDFLAGS)
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

# V=1 shows the commands.
ifeq ($(V),1)
Q :=
say :=
else
Q := @
say = @printf '  %-4s %s\n' $(1) $(2)
endif

# libsim.a has a loop, an HTTP client and a clock of its own. Linked whole, so that nobody gets those of the others.
SIM_LIB := $(OUT)/libsim.a
LINK_SIM := -Wl,--whole-archive $(SIM_LIB) -Wl,--no-whole-archive
sim_lib = $(if $(filter $(SIM_LIB),$(1)),$(LINK_SIM))

layer_src = $(wildcard pkg/$(1)/*.c)
LIBS := $(foreach l,$(LAYERS),$(if $(call layer_src,$(l)),$(OUT)/lib$(l).a))
PROGRAMS := $(foreach d,$(wildcard cmd/*/main.c),$(notdir $(patsubst %/,%,$(dir $(d)))))
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(OUT)/unit/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

.PHONY: build
build: $(PROGRAMS:%=bin/%) bin/modelserver

# bin/ holds the programs of the last build, whatever BUILD was.
bin/%: $(OUT)/bin/% FORCE
	@mkdir -p bin
	@cmp -s $< $@ || cp -f $< $@

.PHONY: FORCE
FORCE:

$(OUT)/bin/%: $(LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(call sim_lib,$^) $(LIBS) $(LDLIBS)

define program_rule
$(OUT)/bin/$(1): $(patsubst %.c,$(OUT)/%.o,$(wildcard cmd/$(1)/*.c))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(OUT)/bin/instancepool-sim: $(SIM_LIB)

# What tests and guides serve with. Of all the libraries it keeps those that it uses, and so does its image.
$(OUT)/bin/modelserver: $(OUT)/tests/modelserver/modelserver.o
$(OUT)/bin/modelserver: LDFLAGS += -Wl,--as-needed

# The operator as a later version may be: it renders one label more. tests/e2e/upgrade.bats needs it.
RELABELLED := $(OUT)/bin/instancepool-operator-relabelled

$(RELABELLED): $(patsubst %.c,$(OUT)/%.o,$(wildcard cmd/instancepool-operator/*.c)) $(OUT)/relabelled/workload.o

$(OUT)/relabelled/workload.o: pkg/api/workload.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) -DWORKLOAD_TEST_LABEL='"example.com/version"' $(CFLAGS) -MMD -MP -c -o $@ $<

define layer_rule
$(OUT)/lib$(1).a: $(patsubst %.c,$(OUT)/%.o,$(call layer_src,$(1)))
	@rm -f $$@
	$$(call say,AR,$$@)
	$$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS) sim,$(if $(call layer_src,$(l)),$(eval $(call layer_rule,$(l)))))

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/unit/%: $(OUT)/tests/unit/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call sim_lib,$^) $(LIBS) $(LDLIBS) -lcmocka

$(filter $(OUT)/unit/sim/%,$(UNIT_BIN)): $(SIM_LIB)

# The programs of the documents: always compiled, so that they stay true.
EXAMPLES := $(patsubst docs/examples/%.c,$(OUT)/examples/%,$(wildcard docs/examples/*.c))

$(OUT)/examples/%: $(OUT)/docs/examples/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIBS) $(LDLIBS)

.PHONY: examples
examples: $(EXAMPLES)

-include $(shell find build -name '*.d' 2>/dev/null)

# Unit programs run two at a time; UNIT_WRAPPER="valgrind ..." puts a program before each.
.PHONY: unit
unit: $(UNIT_BIN) $(EXAMPLES)
	@hack/run-units $(UNIT_BIN)

# Each fuzz target over its corpus, as a plain program: part of `make test`.
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(OUT)/fuzz/%)

$(OUT)/fuzz/%: $(OUT)/tests/fuzz/fuzz_%.o $(OUT)/tests/fuzz/driver.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS) $(LDLIBS)

.PHONY: corpus
corpus: $(FUZZ_BIN)
	@for f in $(FUZZ_BIN); do $$f tests/fuzz/corpus/$$(basename $$f) || exit 1; done

# libFuzzer on every target, FUZZ_SECONDS each; new inputs are kept in build/fuzz-corpus.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz:
	@hack/fuzz $(FUZZ_SECONDS)

# Random stories in virtual time. One that breaks a promise is made short and told. SIM_BUILD=asan SIM_SEEDS=500 is what
# `make test` does.
SIM_SEEDS ?= 10000
SIM_BUILD ?= release
SIM := build/$(SIM_BUILD)-$(notdir $(CC))/bin/instancepool-sim
.PHONY: sim
sim:
	@$(MAKE) --no-print-directory BUILD=$(SIM_BUILD) $(SIM)
	@$(SIM) --seeds $(SIM_SEEDS)

.PHONY: deps
deps:
	@hack/install-deps.sh

.PHONY: test
test: deps
	@hack/test

# The scenarios on a real control plane: hack/cluster's, or KUBECONFIG's.
.PHONY: e2e
e2e: deps
	@hack/e2e

# The scenarios on real kubelets: on a cluster of its own, as root, or KUBECONFIG's.
.PHONY: e2e-real
e2e-real: deps
	@hack/e2e-real

# A sample of the runs in which one call or event goes wrong; hack/faults --help for more. FAULTS_SEED repeats one.
.PHONY: faults
faults: deps
	@hack/faults $(if $(FAULTS_SEED),--seed $(FAULTS_SEED))

# Endpoints drawn from the CRD's schema. GENERATED_SEED=N draws the same again.
GENERATED_COUNT ?= 100
.PHONY: generated
generated: deps
	@hack/generated --count $(GENERATED_COUNT) $(if $(GENERATED_SEED),--seed $(GENERATED_SEED))

.PHONY: lint
lint: deps
	@hack/lint

# The chart, deploy/, the examples and crds/: rendered, linted, compared with the schemas of a real API server.
.PHONY: manifests
manifests: deps
	@hack/manifests

.PHONY: fmt
fmt:
	clang-format -i $(wildcard pkg/*/*.[ch] cmd/*/*.[ch] tests/unit/*/*.[ch] tests/fuzz/*.[ch] tests/modelserver/*.c)

# The announcement's example, step by step. KEEP=1 leaves the cluster for you to play with.
.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory build
	@hack/demo

# This operator beside a Go one, on a cluster of their own. BENCH_ENDPOINTS=100 is the short form.
BENCH_ENDPOINTS ?= 1000
.PHONY: bench
bench: deps
	@$(MAKE) --no-print-directory BUILD=release CC=gcc build/release-gcc/bin/instancepool-operator
	@BENCH_ENDPOINTS=$(BENCH_ENDPOINTS) hack/bench

# An hour of random changes: does it stay as small and as quiet as it is? SOAK_MINUTES=5 is a trial.
.PHONY: soak
soak: deps
	@$(MAKE) --no-print-directory BUILD=release CC=gcc build/release-gcc/bin/instancepool-operator
	@hack/soak

# The tables and the plot of docs/availability.md. TRACES="FILE..." prints a table of real traces, one for each pool.
TRACES ?=
.PHONY: availability
availability: deps
	@$(MAKE) --no-print-directory BUILD=release CC=gcc build/release-gcc/bin/instancepool-availability
	@hack/availability $(if $(TRACES),--traces $(TRACES))

# The faults of tests/planted, one by one: does the simulator catch them? Five to ten minutes.
.PHONY: planted
planted: deps
	@hack/planted

# build/images/instancepool-{operator,modelserver}.tar, without a registry; as root. deploy/Dockerfile is docker's way.
.PHONY: image
image: deps
	@hack/image

.PHONY: install
install: build
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(filter-out bin/instancepool-sim bin/instancepool-availability,$(PROGRAMS:%=bin/%)) $(DESTDIR)$(PREFIX)/bin

.PHONY: clean
clean:
	rm -rf build bin
