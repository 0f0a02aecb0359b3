//! A ticket is used once.

fn twice(recorded: vault::Recorded, word: vault::DurableBelow) {
    let _ = recorded.durable(word);
    let _ = recorded.durable(word);
}

fn main() {}
