//! zlib's interface under the name that `flate2` links for `zlib-ng`, from `libz-sys`.

pub use libz_sys::*;
