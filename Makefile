# What people type. Each target does everything it needs on a machine with git, make and a network;
# a second call repeats nothing. The work is in scripts/.

.DEFAULT_GOAL := help
.PHONY: help demo test test-long bench experiments notebooks targets train build setup checks format clean

help:           ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: build     ## replay, plan and serve on this machine (TRACES=DIR: GenTD26 as well)
	@scripts/demo

test:           ## set-up, mechanical checks, builds and all tests
	@scripts/test

test-long:      ## test, with clang-tidy over exec, ThreadSanitizer and the long tests
	@scripts/test --long

bench: build    ## the benchmarks, each against its peer
	@scripts/bench

experiments: build  ## the tables of docs/, made anew
	@scripts/experiments

notebooks: build  ## run notebooks/ (build/notebooks/*.html and the plots in docs/images)
	@scripts/notebooks

targets: build  ## rerun every figure of docs/targets.csv (WRITE=1: record them; ONLY=ID...)
	@scripts/targets $(if $(WRITE),--write) $(ONLY)

train:          ## train the built-in model anew (a quarter of an hour on 2 cores)
	@scripts/train

build: setup    ## build/release/disagfusion
	@scripts/build release

setup:          ## Debian packages, virtual environment, LibTorch
	@scripts/setup

checks: setup   ## the mechanical checks of `make test`
	@scripts/checks/all

format:         ## rewrite the sources as clang-format has them
	@scripts/checks/format --fix

clean:          ## remove the builds; packages, virtual environment and LibTorch stay
	@rm -rf build/dev build/release build/sim build/tsan build/tidy build/test build/checks build/*-configure.log

export TRACES
