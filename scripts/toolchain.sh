# Checks Rust and Node and gets the linker that cargo needs; demo and test source it first.

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

at_least() { # wanted found
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

[ -x "${HOME:-}/.cargo/bin/cargo" ] && PATH="$PATH:$HOME/.cargo/bin"

rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
command -v cargo >/dev/null && command -v rustc >/dev/null ||
    fail "Rust is missing; install version $rust or later from https://rustup.rs"
found=$(rustc --version | cut -d ' ' -f 2)
at_least "$rust" "$found" || fail "rustc is $found; \`rustup update\` brings $rust or later"

node=20
command -v node >/dev/null && command -v npm >/dev/null ||
    fail "Node and npm are missing; install Node $node or later from https://nodejs.org"
found=$(node --version | tr -d v)
at_least "$node" "$found" || fail "node is $found; install $node or later from https://nodejs.org"

if ! command -v cc >/dev/null; then
    install='apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev'
    command -v apt-get >/dev/null || fail "there is no C compiler; install gcc with its headers"
    echo "gcc is missing; cargo links with it"
    if [ "$(id -u)" = 0 ]; then
        sh -c "$install"
    elif [ -t 0 ] && read -r -p "Run \`sudo sh -c '$install'\`? [y/N] " answer &&
        [ "$answer" = y ]; then
        sudo sh -c "$install"
    else
        fail "run this, then start again: sudo sh -c '$install'"
    fi
fi
