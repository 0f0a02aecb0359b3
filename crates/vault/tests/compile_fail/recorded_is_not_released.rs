//! What is recorded is let out only through `durable`.

fn leak(recorded: vault::Recorded) {
    let _ = recorded.verdict;
    let _ = recorded.release(0);
}

fn main() {}
