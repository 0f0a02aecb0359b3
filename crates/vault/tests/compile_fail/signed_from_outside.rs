//! Only the signer makes what is signed.

fn forge(request: protocol::sign::ReadyRequest) {
    let _ = vault::Signed { request };
}

fn main() {}
