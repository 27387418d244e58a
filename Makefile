# What a person types. Each target works on a fresh checkout with Go and make.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build install dist demo test test-all test-packs test-calls test-old-kernel check bench torture torture-stops torture-probes torture-fleet recordings needs fuzz clean

# On amd64 ri begins with code of its own, that says it where the address space is too small for the Go runtime.
ENTRY = $(if $(filter amd64,$(shell go env GOARCH)),-E ri/instruments/commands.begin)

build: ## one static binary: bin/ri
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w $(ENTRY)" -o bin/ri ./cmd/ri
	$(if $(ENTRY),go run ./scripts/trim bin/ri)

PREFIX ?= /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share

install: build ## bin/ri, its man pages and completions under PREFIX (/usr/local); DESTDIR goes in front
	install -D -m 755 bin/ri $(DESTDIR)$(PREFIX)/bin/ri
	mkdir -p $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	bin/ri man $(SHARE)/man/man1
	bin/ri completion bash >$(SHARE)/bash-completion/completions/ri
	bin/ri completion zsh >$(SHARE)/zsh/site-functions/_ri
	bin/ri completion fish >$(SHARE)/fish/vendor_completions.d/ri.fish

dist: ## static binaries in dist/ with SHA256SUMS, each built twice and compared; arm64 reads cores only, and is untested
	@./dist.sh

demo: build ## ri at work on a live process that knows nothing of it
	./examples/demo.sh

test: needs ## all tests, on real processes; of what is rare or takes minutes to build, less than make test-all
	go test -count=1 -parallel=4 -timeout=35m -vet=off ./... # make check vets
	cd examples/target && go test -count=1 ./...

test-all: needs ## make test with all that is rare: every way to build a program, each release of Go, more trials (an hour or two)
	RI_VERSIONS=all go test -count=1 -parallel=4 -timeout=3h ./...

test-packs: ## what takes too long for make test: Prometheus (some minutes to build, once), more versions of NATS and etcd, more releases of Go; what ri reads of each is compared with its API
	exe="$${RI_PROMETHEUS:-$$(go run ./bench -build-prometheus)}" && RI_PROMETHEUS="$$exe" RI_VERSIONS=all \
		go test ./e2e -count=1 -timeout=58m -run 'TestPrometheus$$|TestNATS$$|TestCoreDNS|TestFlowsDNS$$|TestEtcd$$|TestStripped$$|TestBorrowedSymbols$$|AsLive$$|TestCrashes$$|TestAddressSpace$$|TestTroubles' -v

test-calls: ## recordings of calls of SmartBFT, raft, a scheduler and two libraries of ours: a hundred replays each under the race detector, and every mutant, with the first call that differs
	RI_VERSIONS=all go test ./e2e -count=1 -timeout=58m -run '^TestCalls' -v

recordings: ## e2e/testdata/recordings anew, of real servers (minutes): by them the packs are tested without a server
	RI_RECORDINGS=1 RI_VERSIONS=all go test ./e2e -count=1 -timeout=58m -run 'TestNATS$$/^2.1(0|5)$$|TestEtcd$$/^3.7$$|TestCoreDNS$$/^1.15$$'
	go run ./cmd/ri test e2e/testdata/recordings --update

check: ## what CI asks of the source
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || (echo "gofmt -w the files above" >&2; exit 1)
	go vet ./...
	CGO_ENABLED=0 GOARCH=arm64 go build -o /dev/null ./cmd/ri
	cd examples/target && go vet ./...
	go run $(STATICCHECK) ./...
	cd examples/target && go run $(STATICCHECK) ./...

bench: build ## ri against dlv and gdb on the same processes: the table of docs/benchmarks.md; BENCH=quick for a first look
	go run ./bench $(if $(filter quick,$(BENCH)),-quick)
	go run ./bench/ovsdb $(if $(filter quick,$(BENCH)),-runs 1 -rows 20000 -monitors 200) # beside a real ovsdb-server
	go run ./bench/fleet $(if $(filter quick,$(BENCH)),-agents 1000 -real 20 -runs 1) # one question to many agents
	go test ./probe/kernel -run '^$$' -bench Hit -benchtime $(if $(filter quick,$(BENCH)),20000x,200000x) # CPU of the target's thread, a hit; as root

needs: # what the tests call besides Go: a C compiler (cgo targets), gdb (gcore), util-linux (namespaces, users), tmux (terminals), zsh and fish (completions), Open vSwitch (reads journals), Chromium (the page)
	@./e2e/needs.sh

fuzz: ## each fuzz test for a minute
	@for pkg in $$(go list ./...); do for name in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
		echo "== $$pkg $$name"; go test -run='^$$' -fuzz="^$$name$$" -fuzztime=60s $$pkg || exit 1; done; done

torture: needs torture-stops ## changes under faults, on real processes, for TORTURE (10m): the table of docs/reliability.md; and torture-stops
	RI_TORTURE=$(or $(TORTURE),10m) go test ./e2e -count=1 -timeout=24h -run 'TestTorture$$' -v

torture-stops: needs ## ri killed at random times while it stops, copies and injects, on programs at work: TRIALS (1000) times
	RI_TRIALS=$(or $(TRIALS),1000) go test ./e2e -count=1 -timeout=24h -run 'TestKilled|TestManyRi' -v
	RI_STRESS=20 go test ./attach -count=1 -timeout=24h -run 'TestInject|TestPrecopyKilled|TestNoSignalIsLost|TestKilledWhileAttached' -v

test-old-kernel: ## ri trace on Debian 12's kernel (6.1), in qemu: some three minutes
	./e2e/oldkernel.sh

torture-probes: needs ## probes armed, taken away and their owner killed at random times, on programs that check their own results, Go 1.20 to 1.27: TRIALS (1000) times each
	RI_NEED_BPF=1 RI_TRIALS=$(or $(TRIALS),1000) go test ./probe/kernel -count=1 -timeout=24h -run 'TestTorture$$' -v

torture-fleet: needs ## all of a fleet asked again and again while the leader of its database's cluster is killed every 30 s: KILLS (20) times
	RI_LEADER_KILLS=$(or $(KILLS),20) go test ./fleet -count=1 -timeout=24h -run 'TestLeaderIsKilled$$' -v

clean:
	rm -rf bin dist
