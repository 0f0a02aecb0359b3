//! Telegram Bot API: `sendMessage` (<https://core.telegram.org/bots/api#sendmessage>), replies and
//! `ResponseParameters` as "Making requests" there describes them. Read 2026-11.

use http::HeaderMap;
use keys::SecretText;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::http::Http;
use super::{later, quoted};
use crate::alerts::config::TelegramConfig;
use crate::alerts::{Offer, Outcome};

/// Longest text of a message, in UTF-16 code units.
const MAX_UNITS: usize = 4_096;

pub(super) struct Telegram {
    http: Http,
    config: TelegramConfig,
    token: SecretText,
}

/// Without `parse_mode` the text is plain: nothing in an alert is markup.
#[derive(Serialize)]
struct SendMessage<'a> {
    chat_id: ChatId<'a>,
    text: &'a str,
    link_preview_options: LinkPreview,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChatId<'a> {
    Number(i64),
    Name(&'a str),
}

#[derive(Serialize)]
struct LinkPreview {
    is_disabled: bool,
}

#[derive(Deserialize)]
struct Reply {
    ok: bool,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    /// Seconds.
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Telegram {
    pub(super) const fn new(http: Http, config: TelegramConfig, token: SecretText) -> Self {
        Self { http, config, token }
    }

    pub(super) async fn send(&self, offer: &Offer) -> Outcome {
        let text = cut_units(&offer.alert.to_plain_text(offer.count));
        let chat_id = match self.config.chat_id.parse() {
            Ok(number) => ChatId::Number(number),
            Err(_) => ChatId::Name(&self.config.chat_id),
        };
        let link_preview_options = LinkPreview { is_disabled: true };
        let message = SendMessage { chat_id, text: &text, link_preview_options };
        let json = serde_json::to_vec(&message).expect("text and numbers");
        let api = self.config.api.trim_end_matches('/');
        let url = Zeroizing::new(format!("{api}/bot{}/sendMessage", self.token.expose()));
        let Ok(uri) = url.parse() else { return later("the address cannot be made".into()) };
        match self.http.post(uri, HeaderMap::new(), json).await {
            Ok(reply) => self.judge(reply.status().as_u16(), reply.body()),
            Err(reason) => later(reason),
        }
    }

    fn judge(&self, status: u16, body: &[u8]) -> Outcome {
        let Ok(reply) = serde_json::from_slice::<Reply>(body) else {
            return later(format!("status {status}, and not the Bot API's JSON"));
        };
        if reply.ok && status == 200 {
            return Outcome::Delivered;
        }
        let code = reply.error_code.unwrap_or(status);
        let said = quoted(&reply.description.unwrap_or_default(), self.token.expose());
        let reason = format!("{code} {said}");
        let (retry_after, moved) = match reply.parameters {
            Some(parameters) => (parameters.retry_after, parameters.migrate_to_chat_id),
            None => (None, None),
        };
        match (code, moved) {
            (400, Some(chat)) => {
                Outcome::Refused { reason: format!("{reason}; set alerts.telegram.chat_id to {chat}") }
            }
            (400, None) => Outcome::Refused { reason },
            // 404 is how the API answers a token that is out of form; 403 a chat that has thrown the bot out.
            (401 | 403 | 404, _) => Outcome::Unauthorised { reason },
            _ => Outcome::Later { after_ms: retry_after.map(|s| s.saturating_mul(1_000)), reason },
        }
    }
}

/// At most [`MAX_UNITS`] of `text`, no character halved.
fn cut_units(text: &str) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= MAX_UNITS
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: &Outcome) {
        let http = Http::new(&[]).expect("no extra roots");
        let config = TelegramConfig { chat_id: "1".into(), api: "https://api.telegram.org".into() };
        let telegram = Telegram::new(http, config, SecretText::new("1:secret".into()));
        assert_eq!(telegram.judge(status, body.as_bytes()), *expected, "{body}");
    }

    #[test]
    fn replies_mean_what_the_bot_api_says() {
        let reason = |text: &str| text.to_owned();
        check(200, r#"{"ok":true,"result":{"message_id":7}}"#, &Outcome::Delivered);
        check(
            429,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#,
            &Outcome::Later {
                after_ms: Some(35_000),
                reason: reason("429 Too Many Requests: retry after 35"),
            },
        );
        check(
            401,
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            &Outcome::Unauthorised { reason: reason("401 Unauthorized") },
        );
        check(
            404,
            r#"{"ok":false,"error_code":404,"description":"Not Found: 1:secret"}"#,
            &Outcome::Unauthorised { reason: reason("404 Not Found: <secret>") },
        );
        check(
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            &Outcome::Refused { reason: reason("400 Bad Request: chat not found") },
        );
        check(
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#,
            &Outcome::Refused {
                reason: reason(
                    "400 Bad Request: group chat was upgraded to a supergroup chat; set alerts.telegram.chat_id to -1001",
                ),
            },
        );
        for (status, body) in [(200, "<html>"), (200, ""), (502, "{}"), (200, "{\"ok\":1}")] {
            check(status, body, &later(format!("status {status}, and not the Bot API's JSON")));
        }
        check(500, r#"{"ok":true}"#, &later(reason("500 ")));
    }

    #[test]
    fn a_text_is_cut_at_4096_utf_16_units_and_never_inside_a_character() {
        let units = |text: &str| text.encode_utf16().count();
        assert_eq!(cut_units(&"x".repeat(MAX_UNITS)), "x".repeat(MAX_UNITS));
        assert_eq!(units(&cut_units(&"x".repeat(MAX_UNITS + 1))), MAX_UNITS);
        assert_eq!(units(&cut_units(&"🦀".repeat(MAX_UNITS))), MAX_UNITS);
        assert_eq!(units(&cut_units(&format!("x{}", "🦀".repeat(MAX_UNITS)))), MAX_UNITS - 1);
    }
}
