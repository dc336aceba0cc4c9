# graph_fdw: builds against an installed PostgreSQL (15 or later) with PGXS.
#
#	make                          build, with -Wall -Wextra
#	make WERROR=1                 the same; a warning is an error
#	make check                    all tests, with a server and an emulator that
#	                              are started for them (TESTS="regress
#	                              t/001_rows.pl": these only)
#	make coverage                 the same; which lines no test reached
#	make install                  into the server that pg_config names
#	make installcheck             pg_regress, against a running server and the
#	                              emulator at GRAPH_EMULATOR_PORT
#	make prove_installcheck       the TAP tests in t/, as an ordinary user
#	make dist                     an archive of HEAD for PGXN
#
# Another server: make PG_CONFIG=/usr/lib/postgresql/17/bin/pg_config

# Where this file is: another folder than the current one in a VPATH build
# (mkdir b; cd b; make -f ../Makefile).
SOURCES := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))

# Every C file below src/ is a part of the module, so there is no list that one
# could be missing from.  What may use what: scripts/check_layers.py.
MODULE_big = graph_fdw
OBJS = \
	graph_fdw.o \
	src/base/clock.o \
	src/base/encoding.o \
	src/base/error.o \
	src/base/redact.o \
	src/base/secret.o \
	src/base/stats.o \
	src/base/url.o \
	src/catalog/column.o \
	src/catalog/import.o \
	src/catalog/login_option.o \
	src/catalog/option.o \
	src/catalog/resource.o \
	src/catalog/validator.o \
	src/json/document.o \
	src/json/escape.o \
	src/json/json.o \
	src/json/list.o \
	src/json/projection.o \
	src/json/text.o \
	src/net/buffer.o \
	src/net/easy.o \
	src/net/events.o \
	src/net/header.o \
	src/net/http.o \
	src/net/inflate.o \
	src/net/multi.o \
	src/net/outcome.o \
	src/net/tls.o \
	src/auth/client_assertion.o \
	src/auth/device_code.o \
	src/auth/exchange.o \
	src/auth/login.o \
	src/auth/login_error.o \
	src/auth/managed_identity.o \
	src/auth/session.o \
	src/auth/token.o \
	src/odata/deparse.o \
	src/odata/key.o \
	src/odata/literal.o \
	src/odata/request_path.o \
	src/odata/text_meaning.o \
	src/plan/comparison.o \
	src/plan/join_plan.o \
	src/plan/lookup.o \
	src/plan/path.o \
	src/plan/plan.o \
	src/plan/plan_private.o \
	src/plan/price.o \
	src/plan/pushdown.o \
	src/scan/answer.o \
	src/scan/chain.o \
	src/scan/fetch.o \
	src/scan/order.o \
	src/scan/page.o \
	src/scan/record.o \
	src/scan/refusal.o \
	src/scan/scan.o \
	src/scan/seen.o \
	src/scan/task.o \
	src/scan/window.o \
	src/row/decode.o \
	src/row/jsonb.o \
	src/row/jsonb_nodes.o \
	src/row/row.o \
	src/row/sort.o \
	src/exec/analyze.o \
	src/exec/bind.o \
	src/exec/check.o \
	src/exec/count.o \
	src/exec/explain.o \
	src/exec/join_row.o \
	src/exec/table_row.o

EXTENSION = graph_fdw
DATA = graph_fdw--1.0.sql
PGFILEDESC = "graph_fdw - foreign data wrapper for Microsoft Graph security alerts"

# Every file in sql/ is a test; setup makes what the others use.
SQL_FILES := $(sort $(basename $(notdir $(wildcard $(SOURCES)/sql/*.sql))))
REGRESS := $(strip $(filter setup,$(SQL_FILES)) $(filter-out setup,$(SQL_FILES)))
REGRESS_OPTS = --encoding=UTF8 --no-locale
EXTRA_CLEAN = $(wildcard $(EXTENSION)-*.zip $(foreach kind,o bc gcno gcda,src/*/*.$(kind) *.$(kind)))

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) does not work: install the server's development files (Debian: postgresql-server-dev-NN) or set PG_CONFIG)
endif

# Cleaning and packing need no libraries; check and coverage look for them.
ifneq ($(filter-out clean distclean dist check coverage,$(or $(MAKECMDGOALS),all)),)
PKG_CONFIG ?= pkg-config
LIBRARIES = libcurl jansson libssl libcrypto zlib
ifneq ($(shell $(PKG_CONFIG) --exists $(LIBRARIES) 2>/dev/null && echo yes),yes)
$(error $(PKG_CONFIG) does not find $(LIBRARIES): install pkg-config and the development files of libcurl, jansson, OpenSSL and zlib (Debian: pkg-config libcurl4-openssl-dev libjansson-dev libssl-dev zlib1g-dev))
endif
PG_CPPFLAGS := -I$(SOURCES)/src $(shell $(PKG_CONFIG) --cflags $(LIBRARIES))
SHLIB_LINK := $(shell $(PKG_CONFIG) --libs $(LIBRARIES))
endif

# The one warning that the server's own headers cause, and that its callbacks,
# whose parameters are prescribed, would cause too (looked at in 15 and 17).
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter
ifneq ($(filter-out 0 no,$(WERROR)),)
PG_CFLAGS += -Werror
endif

# A server with JIT wants bitcode made by its own clang.  Where that compiler
# is not installed, do without: only inlining of our functions is lost.
SERVER_CLANG := $(shell sed -n 's/^CLANG *= *//p' '$(dir $(PGXS))../Makefile.global')
ifeq ($(shell command -v $(or $(SERVER_CLANG),clang) 2>/dev/null),)
override with_llvm = no
endif

# PGXS has a rule for check, which says that there is none.
ifneq ($(filter-out check coverage,$(or $(MAKECMDGOALS),all)),)
include $(PGXS)
endif

# PGXS knows no header dependencies, and takes objects for intermediate files
# (.SECONDARY): one that is missing would not be made for a module that is newer
# than its source.
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(SOURCES)/src/*/*.h) $(firstword $(MAKEFILE_LIST))
$(filter-out $(wildcard $(OBJS)),$(OBJS)): FORCE
.PHONY: FORCE
FORCE:

# In a build elsewhere the folders have to be there first.
$(shell mkdir -p $(sort $(dir $(OBJS))))

ifneq ($(filter check coverage,$(MAKECMDGOALS)),)
.PHONY: check coverage
check coverage:
	PG_CONFIG='$(PG_CONFIG)' bash '$(SOURCES)/scripts/check.sh' $(if $(filter coverage,$@),--coverage) $(TESTS)
endif

# PGXS has the recipe but no target of its own.
.PHONY: prove_installcheck
prove_installcheck:
	$(prove_installcheck)

# The version is META.json's: PGXN wants three numbers.
DISTVERSION = $(shell sed -n 's/^\t"version": "\(.*\)",$$/\1/p' '$(SOURCES)/META.json')
.PHONY: dist
dist:
	git -C '$(SOURCES)' archive --format=zip --prefix=$(EXTENSION)-$(DISTVERSION)/ \
		--output='$(CURDIR)/$(EXTENSION)-$(DISTVERSION).zip' HEAD
