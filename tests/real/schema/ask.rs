//! Questions to the API server, as kubectl puts them: strictly, so that an unknown field is an error and no silence.

use axum::http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::schemas::{Kind, kind};

pub struct Asker {
    pub client: Client,
    pub namespace: String,
}

/// Why the API server said no.
#[derive(Debug)]
pub struct Refusal {
    pub message: String,
    pub causes: Vec<Cause>,
}

#[derive(Debug)]
pub struct Cause {
    pub field: String,
    pub message: String,
}

impl Refusal {
    /// Whether it names the field (or is about none) and says these words.
    pub fn says(&self, field: Option<&str>, words: &str) -> bool {
        match field {
            Some(field) => self
                .causes
                .iter()
                .any(|cause| cause.field == field && cause.message.contains(words)),
            None => self.message.contains(words),
        }
    }
}

pub type Answer = Result<Value, Refusal>;

impl Asker {
    /// What would come of creating it. Nothing is stored.
    pub async fn could_create(&self, object: &Value) -> Answer {
        self.send("POST", &self.path(object, "", "&dryRun=All"), object)
            .await
    }

    pub async fn create(&self, object: &Value) -> Answer {
        self.send("POST", &self.path(object, "", ""), object).await
    }

    /// What would come of changing it to this. Nothing is stored.
    pub async fn could_replace(&self, object: &Value) -> Answer {
        self.send("PUT", &self.path(object, &name(object), "&dryRun=All"), object)
            .await
    }

    pub async fn replace_status(&self, object: &Value) -> Answer {
        self.send(
            "PUT",
            &self.path(object, &format!("{}/status", name(object)), ""),
            object,
        )
        .await
    }

    pub async fn read(&self, object: &Value) -> Answer {
        self.send("GET", &self.path(object, &name(object), ""), &Value::Null)
            .await
    }

    fn path(&self, object: &Value, rest: &str, more: &str) -> String {
        let Kind { plural, .. } = kind(object["kind"].as_str().expect("an object has a kind"));
        let namespace = &self.namespace;
        format!(
            "/apis/quartermaster.dev/v1alpha1/namespaces/{namespace}/{plural}/{rest}?fieldValidation=Strict{more}"
        )
    }

    async fn send(&self, method: &str, path: &str, object: &Value) -> Answer {
        let body = if object.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(object).unwrap()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", "application/json")
            .body(body)
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => {
                let status = json!(status);
                let causes = status["details"]["causes"].as_array().into_iter().flatten();
                Err(Refusal {
                    message: status["message"].as_str().unwrap_or_default().to_owned(),
                    causes: causes
                        .map(|cause| Cause {
                            field: cause["field"].as_str().unwrap_or_default().to_owned(),
                            message: cause["message"].as_str().unwrap_or_default().to_owned(),
                        })
                        .collect(),
                })
            }
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"]
        .as_str()
        .expect("an object has a name")
        .to_owned()
}
