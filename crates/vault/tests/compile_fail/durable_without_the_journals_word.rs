//! The word that a record is durable comes from the journal alone.

fn leak(recorded: vault::Recorded) {
    let _ = recorded.durable(7);
}

fn forge(recorded: vault::Recorded) {
    let _ = vault::DurableBelow(7);
    let _ = vault::DurableBelow::acknowledged(7);
    let _ = vault::DurableBelow::within_window(7);
    let _ = vault::Durable { recorded };
}

fn main() {}
