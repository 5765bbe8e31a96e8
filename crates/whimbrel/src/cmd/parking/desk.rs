//! The same four things over the API and on the broker.

use std::sync::Arc;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use whimbrel_api::{ParkedDetail, ParkedView};
use whimbrel_core::ParkedId;
use whimbrel_core::parking::Selection;
use whimbrel_core::port::{ParkedFate, Parking};

use super::BroughtBack;
use crate::cmd::shared::ApiClient;

/// Messages brought back at once.
const MOST: usize = 1_000;

/// Who does it.
pub(super) enum Desk {
    Api(ApiClient),
    Broker(Arc<dyn Parking>),
}

impl Desk {
    /// Messages as the API shows them, and whether there are more.
    pub(super) async fn list(&self, meant: &Selection, limit: u32) -> anyhow::Result<(Vec<Value>, bool)> {
        match self {
            Self::Api(client) => {
                let answer = client.get(&list_path(meant, limit)).await?;
                let messages = answer["messages"].as_array().context("the answer holds no messages")?;
                Ok((messages.clone(), answer["more"] == true))
            }
            Self::Broker(parking) => {
                let (found, walk) = parking.list(meant, limit as usize).await?;
                let messages = found.iter().map(|parked| serde_json::to_value(ParkedView::new(parked)));
                Ok((messages.collect::<Result<_, _>>()?, walk.more))
            }
        }
    }

    pub(super) async fn show(&self, id: ParkedId) -> anyhow::Result<Value> {
        match self {
            Self::Api(client) => Ok(client.get(&format!("/v1/parking/{id}")).await?),
            Self::Broker(parking) => {
                let (found, _) = parking.list(&only(id), 1).await?;
                let parked = found.first().with_context(|| format!("`{id}` is not parked"))?;
                Ok(serde_json::to_value(ParkedDetail::new(parked))?)
            }
        }
    }

    pub(super) async fn redrive(&self, meant: &Selection) -> anyhow::Result<BroughtBack> {
        match self {
            Self::Api(client) => {
                let answer = client.post("/v1/parking/redrive", body(meant).to_string()).await?;
                let number =
                    |field: &str| answer[field].as_u64().with_context(|| format!("the answer has no `{field}`"));
                Ok(BroughtBack { redriven: number("redriven")?, stuck: number("stuck")?, more: answer["more"] == true })
            }
            Self::Broker(parking) => {
                let walk = parking.settle(meant, ParkedFate::Redrive, MOST).await?;
                Ok(BroughtBack { redriven: walk.redriven, stuck: walk.stuck, more: walk.more })
            }
        }
    }

    pub(super) async fn discard(&self, id: ParkedId) -> anyhow::Result<()> {
        match self {
            Self::Api(client) => drop(client.delete(&format!("/v1/parking/{id}")).await?),
            Self::Broker(parking) => {
                let walk = parking.settle(&only(id), ParkedFate::Discard, MOST).await?;
                ensure!(walk.discarded > 0, "it is not parked");
            }
        }
        Ok(())
    }
}

fn only(id: ParkedId) -> Selection {
    Selection { ids: vec![id], ..Selection::default() }
}

fn list_path(meant: &Selection, limit: u32) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    if let Some(source) = meant.source {
        query.append_pair("source", &source.to_string());
    }
    if let Some(reason) = &meant.reason {
        query.append_pair("reason", reason);
    }
    format!("/v1/parking?{}", query.finish())
}

fn body(meant: &Selection) -> Value {
    if meant.is_everything() {
        return json!({"all": true});
    }
    let ids: Vec<String> = meant.ids.iter().map(ParkedId::to_string).collect();
    json!({"ids": ids, "source": meant.source.map(|source| source.to_string()), "reason": meant.reason})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_told_to_the_api() {
        let meant = Selection { ids: Vec::new(), source: Source::parse("jobs.slow"), reason: Some("a b".into()) };
        assert_eq!(list_path(&meant, 7), "/v1/parking?limit=7&source=jobs.slow&reason=a+b");
        assert_eq!(body(&meant), json!({"ids": [], "source": "jobs.slow", "reason": "a b"}));
        assert_eq!(body(&Selection::default()), json!({"all": true}));
    }

    use whimbrel_core::port::Source;
}
