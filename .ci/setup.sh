# What the other scripts need of the machine, a function each. Source it in the project's root and call what is needed:
# a function installs what it can and is missing, says what it does, and says what to do where it can't. When nothing is
# missing it is silent and instant. Everything that it builds is kept by version in $tools, for all clones on the machine.
# shellcheck shell=bash
set -euo pipefail

trunk_version=0.21.14
tools=${HOPWISE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/hopwise}

say() { printf 'set-up: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
has() { command -v "$1" >/dev/null; }

# Debian's packages, where that is possible without asking; otherwise the instruction, and failure.
packages() { # NAMES INSTRUCTION
  if has apt-get && [ "$(id -u)" = 0 ]; then
    say "installing Debian's $1"
    # shellcheck disable=SC2086 # a list
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1; } >/dev/null ||
      die "apt-get could not install $1"
  else
    die "$2"
  fi
}

# Rust, new enough, with rustfmt and clippy.
rust() {
  has cargo || die 'Rust is missing: install it from https://rustup.rs'
  local least have
  least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n' "$least" "$have" | sort -V | head -n1)" = "$least" ] ||
    die "Rust $have is too old, $least is needed: rustup update stable"
  local part
  for part in rustfmt clippy; do
    cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$part" ||
      die "$part is missing: rustup component add $part"
  done
}

# The node packages of web/editor: CodeMirror, its bundler, wasm-opt, axe-core, readers of reports. Puts their commands on
# PATH.
node_packages() {
  has npm || packages 'nodejs npm' 'Node is missing: install version 18 or newer from https://nodejs.org'
  (
    cd web/editor
    cmp -s package-lock.json node_modules/installed && exit
    say 'installing the node packages of web/editor'
    npm ci --silent --no-audit --no-fund && cp package-lock.json node_modules/installed
  ) || die "npm ci failed in web/editor; is Node's version ($(node --version)) 18 or newer?"
  PATH=$PWD/web/editor/node_modules/.bin:$PATH
}

# A command from crates.io, built by the host's Rust into $tools, unless PATH has that very version.
cargo_tool() { # CRATE VERSION COMMAND FLAGS…
  local crate=$1 version=$2 command=$3 home=$tools/$1-$2
  shift 3
  [ -x "$home/bin/$command" ] || {
    case " $("$command" --version 2>/dev/null || true) " in *" $version "*) return ;; esac
    say "building $crate $version from crates.io, once for this machine; it takes some minutes"
    local new=$home.$$
    cargo install --quiet "$crate" --version "$version" --root "$new" "$@" || die "could not build $crate"
    rm -rf "$home" && mv "$new" "$home"
  }
  PATH=$home/bin:$PATH
}

# Trunk, and the wasm-bindgen command in the version of Cargo.lock. Left to itself Trunk downloads wasm-bindgen and wasm-opt.
# Both are built for a quick build of themselves: they have little to do.
trunk_tools() {
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=symbols \
    cargo_tool trunk "$trunk_version" trunk --locked --debug --no-default-features
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo_tool wasm-bindgen-cli "$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)" \
    wasm-bindgen --bin wasm-bindgen
}

# Rust's standard library for WebAssembly. Call it in a subshell and last: it may switch to Debian's Rust, which has no
# clippy, no rustfmt and its own version, hence the target folder of its own.
wasm_target() {
  local target=wasm32-unknown-unknown
  export CARGO_TARGET_DIR=$PWD/target/web
  [ ! -d "$(rustc --print target-libdir --target $target)" ] || return 0
  if has rustup && [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ]; then
    say "adding the target $target to Rust"
    rustup target add --quiet $target && return 0
  fi
  # No toolchain may be downloaded: Debian ships the sources of std, and std is built from them into Debian's sysroot.
  has apt-get || die "the Rust target $target is missing: rustup target add $target"
  local libdir stamp
  libdir=$(/usr/bin/rustc --print target-libdir --target $target 2>/dev/null || echo /usr/lib/rustlib/$target/lib)
  stamp=$(/usr/bin/rustc --version 2>/dev/null || echo none)
  if [ "$(cat "$libdir/built-by" 2>/dev/null)" != "$stamp" ]; then
    packages 'rustc-web cargo-web rust-web-src lld-19' "the Rust target $target is missing: rustup target add $target"
    say "building std for $target with Debian's Rust, once for this machine; it takes a minute"
    debian_std "$target" "$libdir" || die "could not build std for $target"
  fi
  ! has rustup || [ -e "${RUSTUP_HOME:-$HOME/.rustup}/toolchains/debian" ] || rustup toolchain link debian /usr
  export RUSTUP_TOOLCHAIN=debian
}

debian_std() ( # TARGET LIBDIR
  set -euo pipefail
  unset RUSTUP_TOOLCHAIN CARGO_TARGET_DIR
  seed=$(mktemp -d)
  trap 'rm -rf "$seed"' EXIT
  mkdir "$seed/src" && : >"$seed/src/lib.rs"
  printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2024"\n' >"$seed/Cargo.toml"
  cd "$seed"
  # Without bitcode in it, `lto = true` can't read std.
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS='-C embed-bitcode=yes' \
    /usr/bin/cargo build --quiet --release --target "$1" -Z build-std=std,panic_abort
  rm -f "target/$1/release/deps"/libseed*
  rm -rf "$2" "$2.new" && mkdir -p "$2.new" && cp "target/$1/release/deps"/*.r{lib,meta} "$2.new/"
  /usr/bin/rustc --version >"$2.new/built-by"
  mv "$2.new" "$2"
  # rustc looks here for its linker.
  linker=$(dirname "$(/usr/bin/rustc --print target-libdir)")/bin
  mkdir -p "$linker" && ln -sf "$(command -v lld-19)" "$linker/rust-lld"
)

# A Chromium and its driver, for the tests of the page.
browser() {
  [ -z "${CHROMEWEBDRIVER:-}" ] || PATH=$CHROMEWEBDRIVER:$PATH # GitHub's runners keep it there
  has chromedriver || packages 'chromium chromium-driver' \
    'chromedriver is missing: install Chromium (or Chrome) and the chromedriver of the same version'
}
