//! One server that is asked, and what its answers took.

use std::time::Instant;

use anyhow::Context as _;
use protocol::client::LineClient;

use crate::bench::Plan;
use crate::bench::http::HttpClient;
use crate::bench::samples::{Distribution, Samples};

/// How it is asked.
enum Link {
    Lines(LineClient),
    Http(HttpClient),
}

/// One server, asked one request at a time.
pub struct Contender {
    pub name: String,
    link: Link,
    requests: Vec<Vec<u8>>,
    asked: usize,
    /// What a good reply begins with, or holds in case of HTTP.
    good: &'static [u8],
    samples: Samples,
}

impl Contender {
    pub fn lines(name: String, client: LineClient, requests: Vec<String>, good: &'static [u8]) -> Self {
        let requests = requests.into_iter().map(String::into_bytes).collect();
        Self { name, link: Link::Lines(client), requests, asked: 0, good, samples: Samples::default() }
    }

    pub fn http(name: String, client: HttpClient, request: Vec<u8>, good: &'static [u8]) -> Self {
        let (link, requests) = (Link::Http(client), vec![request]);
        Self { name, link, requests, asked: 0, good, samples: Samples::default() }
    }

    /// One turn.
    pub fn block(&mut self, plan: Plan) -> anyhow::Result<()> {
        for round in 0..plan.warm_up + plan.requests {
            self.asked = (self.asked + 1) % self.requests.len();
            let request = &self.requests[self.asked];
            let (name, started) = (&self.name, Instant::now());
            let (good, reply) = match &mut self.link {
                Link::Lines(client) => {
                    let reply = client.exchange(request).with_context(|| format!("{name} did not answer"))?;
                    (reply.starts_with(self.good), reply)
                }
                Link::Http(client) => {
                    let (status, reply) =
                        client.exchange(request).with_context(|| format!("{name} did not answer"))?;
                    (status == 200 && contains(reply, self.good), reply)
                }
            };
            let took = started.elapsed();
            anyhow::ensure!(good, "{name} answered {}", String::from_utf8_lossy(reply));
            if round >= plan.warm_up {
                self.samples.add(took, 1);
            }
        }
        Ok(())
    }

    pub fn finish(self) -> anyhow::Result<(String, Distribution)> {
        Ok((self.name, self.samples.finish()?))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
