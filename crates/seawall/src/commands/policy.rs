//! `seawall policy`: check, explain, compare, apply.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use policy::{ChangeVerdict, Context, Finding, MarkPrice, Policy, Request, State, Tier, Verdict};
use protocol::admin::{AdminCommand, AdminReply, Change, VaultStatus};
use protocol::neutral::{NeutralOrder, NeutralScope, NeutralTarget};
use serde::Deserialize;
use serde_json::value::RawValue;
use trading::{AccountName, BotName, Instrument, Intent, Market, Price, Venue};

use crate::commands::say;
use crate::installation::{Installation, now, parse_policy};
use crate::layout::{Layout, read_text};

/// Longest order file, in bytes.
const MAX_ORDER: u64 = 64 * 1024;
/// Longest wait for the vault's word on the trading state.
const STATUS_LIMIT: Duration = Duration::from_secs(2);

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a policy file and show every mistake at once, with line and fix.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Judge an order without signing it: each rule, its numbers, the verdict.
    Explain {
        /// The order as the sign socket takes it; `-` reads standard input.
        order: PathBuf,
        /// The policy file; the one in force if absent.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Compare two policy files: each field tighter, looser or equal.
    Diff {
        /// The old file.
        old: PathBuf,
        /// The new file.
        new: PathBuf,
        /// Show equal fields too.
        #[arg(long)]
        all: bool,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Put a policy in force: reseal the keys under it and tell the running vault.
    Apply {
        /// The file; policy.toml of the installation if absent.
        file: Option<PathBuf>,
    },
}

/// Carries out `command`.
pub fn run(layout: Layout, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { file } => check(&file),
        Command::Explain { order, policy, json } => explain(layout, &order, policy.as_deref(), json),
        Command::Diff { old, new, all, json } => diff(&old, &new, all, json),
        Command::Apply { file } => apply(layout, file),
    }
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    match Policy::parse(&read_text(file)?) {
        Ok(policy) => {
            say(format!("{}: valid, hash {}", file.display(), hex::encode(policy.hash())));
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                say(format!(
                    "{}:{}:{}: {} {}",
                    file.display(),
                    mistake.line,
                    mistake.column,
                    mistake.field,
                    mistake.message
                ));
                say(format!("    fix: {}", mistake.fix));
            }
            say(format!("{} mistake(s)", mistakes.len()));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn diff(old: &Path, new: &Path, all: bool, json: bool) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| parse_policy(&read_text(path)?).with_context(|| format!("{}", path.display()));
    let changes = read(old)?.diff(&read(new)?);
    if json {
        let fields: Vec<_> = changes
            .iter()
            .map(|change| {
                serde_json::json!({
                    "field": change.field, "old": change.old, "new": change.new,
                    "direction": direction(change.direction),
                })
            })
            .collect();
        say(serde_json::json!({ "tightening": policy::is_tightening(&changes), "fields": fields }));
        return Ok(ExitCode::SUCCESS);
    }
    for change in changes.iter().filter(|change| all || change.direction != ChangeVerdict::Equal) {
        let direction = direction(change.direction);
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(absent)".to_owned());
        say(format!("{direction:<8} {}: {} -> {}", change.field, side(&change.old), side(&change.new)));
    }
    let equal = changes.iter().filter(|change| change.direction == ChangeVerdict::Equal).count();
    let kind = if policy::is_tightening(&changes) { "tightens, or changes nothing" } else { "loosens" };
    say(format!("{equal} of {} fields are equal; as a whole the new policy {kind}", changes.len()));
    Ok(ExitCode::SUCCESS)
}

/// Tighter, looser or equal. What allows other things, neither more nor less, may allow what was
/// forbidden: looser.
fn direction(verdict: ChangeVerdict) -> &'static str {
    match verdict {
        ChangeVerdict::Tighter => "tighter",
        ChangeVerdict::Equal => "equal",
        _ => "looser",
    }
}

fn apply(layout: Layout, file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout)?;
    let file = file.unwrap_or_else(|| installation.layout.policy());
    let text = read_text(&file)?;
    let new = parse_policy(&text).with_context(|| format!("{}", file.display()))?;
    if !installation.is_set_up() {
        installation.first_policy(&text)?;
        say(format!("policy {} is in force", hex::encode(new.hash())));
        return Ok(ExitCode::SUCCESS);
    }
    let _changing = installation.changing()?;
    let (_, old) = installation.store()?;
    let changes = old.diff(&new);
    let loosened: Vec<&str> = changes
        .iter()
        .filter(|change| direction(change.direction) == "looser")
        .map(|change| change.field.as_str())
        .collect();
    let text_of_change = match loosened.as_slice() {
        [] => "tightened the policy".to_owned(),
        fields => format!("loosened {}", shortened(&fields.join(", "))),
    };
    installation.apply_policy(&text, &Change { kind: "policy".into(), text: text_of_change.clone() })?;
    say(format!("policy {} is in force: {text_of_change}", hex::encode(new.hash())));
    Ok(ExitCode::SUCCESS)
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// An order to explain: what the sign socket takes, and what the vault would know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFile<'a> {
    bot: Option<BotName>,
    account: Option<AccountName>,
    venue: Option<Venue>,
    market: Option<Market>,
    #[serde(borrow)]
    order: Option<&'a RawValue>,
    place: Option<NeutralOrder>,
    amend: Option<NeutralTarget>,
    cancel: Option<NeutralTarget>,
    cancel_all: Option<NeutralScope>,
    /// Mark prices to judge by, `"linear:BTCUSDT": "60000"`.
    #[serde(default)]
    marks: std::collections::BTreeMap<String, Price>,
}

fn explain(layout: Layout, order: &Path, file: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(layout);
    let status = installation.as_ref().ok().and_then(vault_status);
    let policy = match file {
        Some(file) => parse_policy(&read_text(file)?)?,
        None => installation?.store().context("give a policy with --policy")?.1,
    };
    let text = if order == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(MAX_ORDER).read_to_string(&mut text)?;
        text
    } else {
        read_text(order)?
    };
    let parsed: OrderFile<'_> =
        serde_json::from_str(&text).context("the order is not what the sign socket takes")?;
    let (request, context) = question(parsed, &policy)?;
    let mut state = State::new(request.account.clone());
    let status = status.as_ref();
    let known = status.and_then(|status| status.states.iter().find(|(name, _)| *name == request.account));
    let size =
        status.and_then(|status| status.size_factors.iter().find(|(name, _)| *name == request.account));
    if let Some((_, trading)) = known {
        state.set_trading_state(*trading);
    }
    if let Some((_, factor)) = size {
        state.set_size_factor(*factor);
    }
    let findings = policy::explain(&policy, &state, &request, &context);
    let denied = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Deny(_)));
    if json {
        say(serde_json::json!({
            "intent": request.intent, "findings": findings, "approved": !denied,
            "trading_state": state.trading_state(), "trading_state_known": known.is_some(),
            "size_factor": state.size_factor(),
        }));
    } else {
        print_findings(&request, &findings);
        let trading = state.trading_state();
        say(match known {
            Some(_) => format!("trading state: {trading}, as the running vault says"),
            None => format!("trading state: taken as {trading}; no running vault knows the account"),
        });
        if !state.size_factor().is_one() {
            say(format!("size factor: {}, as the running vault says", state.size_factor()));
        }
        let verdict = if denied { "denied" } else { "approved" };
        say(format!("verdict: {verdict} (with nothing signed before)"));
    }
    Ok(if denied { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the running vault says of itself, if one answers.
fn vault_status(installation: &Installation) -> Option<VaultStatus> {
    match installation.tell_vault_within(&AdminCommand::Status, STATUS_LIMIT) {
        Ok(Some(AdminReply::Status(status))) => Some(status),
        _ => None,
    }
}

fn print_findings(request: &Request, findings: &[Finding]) {
    say(format!("{} asks account {}: {}", request.bot, request.account, request.intent));
    for finding in findings {
        let leg = finding.leg.map_or(String::new(), |leg| format!(" leg {leg}"));
        let tier = match finding.tier {
            Tier::SelfContained => "S",
            Tier::Oracle => "O",
        };
        let verdict = match &finding.verdict {
            Verdict::Pass => "pass".to_owned(),
            Verdict::NotApplicable => "-".to_owned(),
            Verdict::Deny(denial) => format!("DENY  {denial}"),
        };
        say(format!(
            "{:<26} {:<2} {:<28} {verdict}",
            format!("{}{leg}", finding.rule),
            tier,
            finding.numbers
        ));
    }
}

/// The question the vault would put to the policy, with the same defaults.
fn question(file: OrderFile<'_>, policy: &Policy) -> anyhow::Result<(Request, Context)> {
    let bot = match file.bot {
        Some(bot) => bot,
        None => only(policy.bots().map(|(bot, _)| bot.clone()), "bot")?,
    };
    let account = match file.account {
        Some(account) => account,
        None => only(
            policy
                .accounts()
                .filter(|(_, account)| file.venue.is_none_or(|venue| account.venue() == venue))
                .map(|(name, _)| name.clone()),
            "account",
        )?,
    };
    let venue = match file.venue {
        Some(venue) => venue,
        None => policy.account(&account).context("the account is not in the policy")?.venue(),
    };
    let now = now();
    let intent: Intent = match (file.order, file.place, file.amend, file.cancel, file.cancel_all) {
        (Some(order), None, None, None, None) => {
            let market = file.market.unwrap_or(Market::Spot);
            let unsigned =
                venue::from_native_json(venue, market, venue::Operation::Place, order.get(), now, 5000)?;
            venue::decode(&unsigned)?
        }
        (None, Some(order), None, None, None) => order.into_intent(venue)?,
        (None, None, Some(target), None, None) => target.into_amendment(venue)?,
        (None, None, None, Some(target), None) => target.into_cancel(venue)?,
        (None, None, None, None, Some(scope)) => scope.into_cancel_all(venue),
        _ => anyhow::bail!("exactly one of `order`, `place`, `amend`, `cancel`, `cancel_all` must be there"),
    };
    let mut context = Context { now, ..Context::default() };
    for (name, price) in file.marks {
        let instrument: Instrument =
            format!("{venue}:{name}").parse().with_context(|| format!("mark {name}"))?;
        context.mark_prices.insert(instrument, MarkPrice { price, at: now });
    }
    Ok((Request::new(bot, account, intent), context))
}

fn only<T>(mut all: impl Iterator<Item = T>, what: &str) -> anyhow::Result<T> {
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => anyhow::bail!("the policy has no {what} that fits"),
        (Some(_), Some(_)) => {
            anyhow::bail!("the policy has more than one {what} that fits; name one in `{what}`")
        }
    }
}
