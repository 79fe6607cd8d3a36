# What CI runs, and what a developer runs by hand: `just --list`. The tools: `pip install -r .ci/requirements.txt`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Everything that must hold before a change lands.
ci: format spelling dependencies features lint docs contract test

# Formats all Rust sources.
fmt:
    cargo fmt --all

# Checks the formatting.
format:
    cargo fmt --all --check

# Finds misspelt words (`typos.toml`), and forms that the style refuses (`.ci/forbidden-forms.tsv`).
spelling: forms
    typos

# Finds forms that the style refuses, and prints what replaces each (`.ci/forbidden-forms.tsv`).
forms:
    #!/usr/bin/env bash
    set -euo pipefail
    searched=('*.rs' '*.md' '*.sql' '*.wit' '*.js' ':!wit/GLOSSARY.md')
    found=0
    while IFS=$'\t' read -r pattern instead except; do
        [[ -z "$pattern" || "$pattern" == \#* ]] && continue
        read -ra except <<<"${except:-}"
        status=0
        git grep -nIP --untracked -e "$pattern" -- "${searched[@]}" "${except[@]}" >&2 || status=$?
        case "$status" in
        0) echo "    instead: $instead" >&2 && found=1 ;;
        1) ;;
        *) exit "$status" ;;
        esac
    done <.ci/forbidden-forms.tsv
    exit "$found"

# Checks licenses and sources of dependencies, and finds those that nothing uses.
dependencies:
    cargo deny --locked check bans licenses sources
    cargo shear

# Checks that `cargo run` and `cargo test --workspace` select the same features of each dependency, so that each is compiled once.
features:
    #!/usr/bin/env bash
    set -euo pipefail
    dependencies() {
        cargo tree --locked --prefix none --format '{p} {f}' --target "$(rustc --print host-tuple)" "$@" |
            sed 's/ (\*)$//' | grep -v "($PWD" | sort -u
    }
    # The generators of C and C# turn on `default` of wasm-encoder in build scripts, which a second time takes three seconds.
    differing="$(comm -23 <(dependencies -e normal,build | grep -v '^wasm-encoder ') <(dependencies --workspace -e normal,build,dev))"
    if [[ -n "$differing" ]]; then
        echo "the tests' dependencies turn on further features of these; turn them on in Cargo.toml's [workspace.dependencies]:" >&2
        echo "$differing" >&2
        exit 1
    fi

# Runs clippy on everything. The toolchain is the minimum that Cargo.toml declares.
lint:
    rustc --version | grep -F "rustc $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)."
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Builds the documentation, private items included; a broken link is an error.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Checks that wit/ is well formed and documented, and that Rust, JavaScript, Python and C build plugins from it.
contract:
    tests/contract/check

# Runs all tests, or those that are called like `filter`.
test *filter:
    cargo test --workspace --locked --no-fail-fast {{ filter }}

# Says whether wasmtime has a newer patch release of our line.
wasmtime-patch:
    cargo update --dry-run -p wasmtime -p wasmtime-wasi -p wasmtime-wasi-http

# Measures the layers of a call, durable hooks, and load over HTTP.
bench:
    cargo bench -p cartwright-e2e -p cartwright-cli --bench layers --bench durable --bench load

# Fuzzes a target of tests/fuzz with libFuzzer, for ten minutes.
fuzz target seconds="600":
    RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz/instrument" cargo build --release --locked --target-dir target/fuzz \
        --package cartwright-fuzz --features libfuzzer --bin {{ target }}
    mkdir -p target/fuzz/corpus/{{ target }}
    target/fuzz/release/{{ target }} -max_total_time={{ seconds }} target/fuzz/corpus/{{ target }} tests/fuzz/corpus/{{ target }}
