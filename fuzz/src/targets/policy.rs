//! The policy as an operator writes it.

use policy::Policy;
use policy::presets::Preset;

use crate::engine::{Attacked, both, shape};

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let own = include_bytes!("../permissive.toml").to_vec();
    let account = "main".parse().expect("a name");
    let bots = ["demo".parse().expect("a name")];
    let preset = |preset: Preset| preset.text(&account, trading::Venue::Binance, &bots).into_bytes();
    std::iter::once(own).chain(Preset::ALL.map(preset)).collect()
}

/// Text of a policy.
pub(crate) fn policies() -> Attacked {
    Box::new(|input| {
        let Ok(text) = std::str::from_utf8(input) else { return 1 };
        match Policy::parse(text) {
            Ok(policy) => {
                assert_eq!(Policy::parse(text).map(|again| again.hash()).ok(), Some(policy.hash()));
                assert!(policy.is_tightening(&policy), "a policy is looser than itself");
                both(2, policy.accounts().count().min(8) as u64)
            }
            Err(mistakes) => {
                assert!(!mistakes.is_empty(), "refused without a reason");
                let texts: Vec<String> = mistakes.iter().take(3).map(ToString::to_string).collect();
                shape(&texts.join(";"))
            }
        }
    })
}
