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
#	make dist                     an archive of HEAD for PGXN (other packages:
#	                              scripts/package.sh)
#
# Another server: make PG_CONFIG=/usr/lib/postgresql/17/bin/pg_config

# Where this file is: another folder than the current one in a VPATH build
# (mkdir b; cd b; make -f ../Makefile).
SOURCES := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))

# Every C file below src/ is a part of the module, so there is no list that one
# could be missing from.  What may use what: scripts/check_layers.py.
MODULE_big = graph_fdw
OBJS := graph_fdw.o $(patsubst $(SOURCES)/%.c,%.o,$(sort $(wildcard $(SOURCES)/src/*/*.c)))

EXTENSION = graph_fdw
DATA = graph_fdw--1.0.sql graph_fdw--1.0--1.1.sql
# What a person reads goes into a folder of its own below the server's
# documentation, as it lies here: the pages link to each other.
DOCS = README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md LICENSE
MANUAL := $(patsubst $(SOURCES)/%,%,$(sort $(wildcard $(SOURCES)/docs/*.*)))
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

# Cleaning, packing and asking what is installed need no libraries; check and
# coverage look for them.
ifneq ($(filter-out clean distclean dist installcheck prove_installcheck check coverage,$(or $(MAKECMDGOALS),all)),)
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

# PGXS has one folder for the documentation of all extensions, without folders
# in it: a README.md there would be everybody's.
docmoduledir := $(docmoduledir)/$(EXTENSION)
ifdef docdir
.PHONY: install-manual uninstall-manual
install: install-manual
uninstall: uninstall-manual
install-manual: installdirs
	$(MKDIR_P) '$(DESTDIR)$(docdir)/$(docmoduledir)/docs'
	$(INSTALL_DATA) $(addprefix $(srcdir)/,$(MANUAL)) '$(DESTDIR)$(docdir)/$(docmoduledir)/docs/'
uninstall-manual:
	rm -f $(addprefix '$(DESTDIR)$(docdir)/$(docmoduledir)'/,$(MANUAL))
endif
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

# pg_regress asks the emulator, and says nothing that one could read without it.
.PHONY: emulator_answers
installcheck: emulator_answers
emulator_answers:
	@python3 -c 'import os, socket; socket.create_connection(("127.0.0.1", int(os.environ["GRAPH_EMULATOR_PORT"])), 5)' 2>/dev/null || { \
		echo 'The tests need the emulator of Microsoft Graph. Start it with' >&2; \
		echo '    python3 $(SOURCES)/emulator/graph_emulator.py --alerts 2000 --seed 1 --now 2026-11-01T00:00:00Z' >&2; \
		echo 'and set GRAPH_EMULATOR_PORT to the port that it prints; "make check" does all of that.' >&2; exit 1; }

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
