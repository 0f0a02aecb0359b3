//! What is signed cannot be read, only recorded.

fn leak(signed: vault::Signed) {
    let _ = signed.request;
}

fn main() {}
