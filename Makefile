# All there is to know is `make serve` and `make test`. Each sets up what it needs; see .ci/setup.sh.
PORT ?= 8080
FUZZ ?= 600

.DEFAULT_GOAL := help
.PHONY: help serve build size test fuzz

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

serve: ## build the page, serve it on localhost (PORT=8080), rebuild on change
	@.ci/serve $(PORT)

build: ## build the site into dist/, which works under any path of a static server
	@.ci/build

size: ## print what a visitor transfers, file by file; fail over budget
	@node .ci/size.mjs

test: ## run every check
	@.ci/test

fuzz: ## look for texts that break a claim, ten minutes each (FUZZ=600)
	@.ci/fuzz $(FUZZ)
