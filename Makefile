# Copyright (C) Delta contributors
#
#   make run [PORT=8080]        the whole thing on 127.0.0.1, Ctrl-C ends it;
#                               DELTA_WORLD=: without the world that ticks
#   make test [TESTS="t/…"]     all tests; ASAN=1: with the sanitizers
#   make build upstream         the module and the reference upstream
#   make contract               what is made of conf/events.json
#   make bench                  latency and CPU of a delivery; the contract's;
#                               bytes of changes, sizes of deltas; how late a
#                               world's ticks are; what presence asks of Redis
#                               among 10 and 1,000 users [USERS="10 10000"]
#   make client                 the client library, bundled, and its sizes
#   make storm [N=2000]         so many clients come back at once
#   make fuzz [SECONDS=60] [FUZZ="ws json"]
#                               each decoder (or those) for so many seconds,
#                               JOBS at a time, with clang's libFuzzer
#   make deb                    build/deb/libnginx-mod-http-delta_*.deb
#   make install                the module to where nginx looks for modules
#   make flavours               package and module in each nginx of Debian
#   make clean
#
# DEPS=no installs no packages.  WERROR= forgives a compiler its warnings.

PORT   ?= 8080
JOBS   ?= 2
ASAN   ?=
TESTS  ?= t
DEPS   ?= yes
WERROR ?= -Werror

NGINX  ?= /usr/sbin/nginx
SOURCE ?= /usr/share/nginx/src

CFLAGS ?= -g -O2

ifneq ($(filter-out 0,$(ASAN)),)
BUILD  := build/asan
override CFLAGS += -O1 -fsanitize=address,undefined -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=address,undefined
else
BUILD  := build
endif

OBJS     := $(BUILD)/nginx
MODULE   := $(BUILD)/ngx_http_delta_module.so
UPSTREAM := $(BUILD)/delta-upstream


# What is installed, once, for each purpose.

BUILD_DEPS := gcc make libc6-dev nginx nginx-dev libhiredis-dev \
              libjansson-dev libssl-dev
RUN_DEPS   := $(BUILD_DEPS) redis-server libmicrohttpd-dev libsqlite3-dev \
              curl perl libmojolicious-perl
TEST_DEPS  := $(RUN_DEPS) openssl sqlite3 libprotocol-websocket-perl \
              libcrypt-jwt-perl libio-socket-ssl-perl libnginx-mod-nchan \
              nodejs esbuild python3-redis node-redis php-cli php-redis \
              ruby-redis iproute2 iptables node-react \
              node-react-test-renderer node-typescript chromium \
              fonts-noto-color-emoji npm
CLIENT_DEPS := esbuild
FUZZ_DEPS  := gcc make libc6-dev clang libclang-rt-dev libjansson-dev \
              libssl-dev libhiredis-dev perl
DEB_DEPS   := $(BUILD_DEPS) build-essential dpkg-dev debhelper

# The greatest set that this call needs, so that apt runs but once.

PACKAGES := $(BUILD_DEPS)

ifneq ($(filter run upstream,$(MAKECMDGOALS)),)
PACKAGES := $(RUN_DEPS)
endif
ifneq ($(filter test bench storm flavours deps,$(MAKECMDGOALS)),)
PACKAGES := $(TEST_DEPS)
endif
ifneq ($(filter deb flavours,$(MAKECMDGOALS)),)
PACKAGES += $(DEB_DEPS)
endif
ifneq ($(filter fuzz,$(MAKECMDGOALS)),)
PACKAGES += $(FUZZ_DEPS)
endif
ifeq ($(MAKECMDGOALS),fuzz)
PACKAGES := $(FUZZ_DEPS)
else ifeq ($(MAKECMDGOALS),client)
PACKAGES := $(CLIENT_DEPS)
else ifneq ($(filter client,$(MAKECMDGOALS)),)
PACKAGES += $(CLIENT_DEPS)
endif


.PHONY: build upstream run test bench contract storm client fuzz install \
        deb flavours deps clean FORCE
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

build: $(MODULE)

upstream: $(UPSTREAM)

run: build upstream
	@DELTA_BUILD=$(BUILD) exec t/bin/run $(PORT)

test: build upstream $(if $(filter build/asan,$(BUILD)),$(BUILD)/noclose.so)
	@ASAN=$(ASAN) DELTA_BUILD=$(CURDIR)/$(BUILD) \
	    prove -It/lib -j$(JOBS) -r $(TESTS)

bench: build upstream $(BUILD)/contract-bench $(BUILD)/ticks-client \
       $(BUILD)/storm-client
	@$(BUILD)/contract-bench conf/events.json
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/delivery
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/bytes
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/spaces
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/ticks
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/presence $(USERS)

contract:
	@perl src/contract/generate.pl

client: | deps
	@t/bin/client-size

storm: build $(BUILD)/storm-client
	@DELTA_BUILD=$(CURDIR)/$(BUILD) perl -It/lib t/bench/storm $(N) $(ADMIT)

install: build
	@t/bin/install-module $(MODULE) $(NGINX)

deb: | deps
	@t/bin/build-deb

# Only where nginx may be replaced, and said so before anything is installed.

flavours: $(if $(filter yes,$(REPLACE_NGINX)),build deb)
	@t/bin/flavours $(if $(filter yes,$(REPLACE_NGINX)),--replace-nginx)

deps:
	@[ "$(DEPS)" = no ] || t/bin/deps $(sort $(PACKAGES))

clean:
	rm -rf build


# The module: configured only when something that matters to it has changed.

$(OBJS)/options: FORCE | deps
	@mkdir -p $(@D)
	@{ $(NGINX) -V 2>&1; echo '$(CC) $(CFLAGS) $(LDFLAGS) $(CURDIR)'; } \
	    > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(OBJS)/Makefile: config config.make $(OBJS)/options | deps
	@echo "configuring $(MODULE)"
	@cd $(SOURCE) && bash -c '. ./conf_flags && \
	    ./configure "$${NGX_CONF_FLAGS[@]}" \
	        --with-cc-opt="-fPIC $(CFLAGS)" \
	        --with-ld-opt="-fPIC $(LDFLAGS)" \
	        --add-dynamic-module=$(CURDIR) --builddir=$(CURDIR)/$(OBJS)' \
	    > $(CURDIR)/$(OBJS)/configure.log 2>&1 \
	    || { tail -n 4 $(CURDIR)/$(OBJS)/configure.log >&2; \
	         rm -f $(CURDIR)/$@; exit 1; }
	@touch $@

$(MODULE): FORCE $(OBJS)/Makefile
	@$(MAKE) -q --no-print-directory -C $(SOURCE) \
	    -f $(CURDIR)/$(OBJS)/Makefile modules 2> /dev/null \
	    || echo "building $@"
	@$(MAKE) -s --no-print-directory -C $(SOURCE) \
	    -f $(CURDIR)/$(OBJS)/Makefile modules
	@cmp -s $(OBJS)/$(@F) $@ \
	    || { cp $(OBJS)/$(@F) $@.new && mv $@.new $@; }


# The reference upstream.

UPSTREAM_SRCS := $(wildcard src/upstream/*.c src/publisher/*.c src/core/*.c)
UPSTREAM_OBJS := $(UPSTREAM_SRCS:src/%.c=$(BUILD)/obj/%.o)

$(BUILD)/obj/%.o: src/%.c $(OBJS)/options | deps
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -Wall -Wextra $(WERROR) $(CFLAGS) -MMD -MP \
	    -Isrc -Isrc/core -Isrc/publisher -Isrc/upstream -c -o $@ $<

$(UPSTREAM): $(UPSTREAM_OBJS)
	@echo "building $@"
	@$(CC) $(LDFLAGS) -o $@ $^ -l:libhiredis.a -lmicrohttpd -lsqlite3 \
	    -ljansson -lcrypto -lpthread

-include $(UPSTREAM_OBJS:.o=.d)


# Keeps the names in a sanitizer's report: see t/lib/Delta.pm.

$(BUILD)/noclose.so: t/lib/noclose.c | deps
	@mkdir -p $(@D)
	@$(CC) -shared -fPIC -o $@ $<

$(BUILD)/contract-bench: t/bench/contract.c $(wildcard src/core/*.[ch]) | deps
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -Wall -Wextra $(WERROR) -O2 -Isrc/core -o $@ \
	    $(filter %.c,$^) -ljansson -lcrypto

# Decoders on random bytes; what it has learned is kept in build/fuzz/corpus.

CLANG        ?= clang
SECONDS      ?= 60
FUZZ_TARGETS := $(basename $(notdir $(wildcard t/fuzz/*.c)))
FUZZ         ?= $(FUZZ_TARGETS)
FUZZ_DIR     := build/fuzz
FUZZ_SRCS    := $(wildcard src/core/*.c) src/publisher/delta_publish_url.c
FUZZ_OBJS    := $(FUZZ_SRCS:src/%.c=$(FUZZ_DIR)/obj/%.o)
FUZZ_CFLAGS  := -std=gnu11 -Wall -Wextra $(WERROR) -g -O1 \
                -fsanitize=fuzzer-no-link,address,undefined \
                -fno-sanitize-recover=all -fno-omit-frame-pointer -MMD -MP \
                -Isrc/core -Isrc/publisher -It/unit -It/fuzz

fuzz: $(FUZZ:%=$(FUZZ_DIR)/%)
	@t/bin/fuzz $(SECONDS) $(JOBS) $(FUZZ_DIR) $(FUZZ)

$(FUZZ_DIR)/obj/%.o: src/%.c | deps
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_CFLAGS) -c -o $@ $<

$(FUZZ_DIR)/%: t/fuzz/%.c $(FUZZ_OBJS) | deps
	@echo "building $@"
	@$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_OBJS) \
	    -ljansson -lcrypto

.SECONDARY: $(FUZZ_OBJS)

-include $(FUZZ_OBJS:.o=.d) $(wildcard $(FUZZ_DIR)/*.d)

$(BUILD)/%-client: t/bench/%.c | deps
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -Wall -Wextra $(WERROR) -O2 -o $@ $<

FORCE:
