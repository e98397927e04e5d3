//! Tests that each event is described as it is sent: its name, and every field.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use contracts::event::Event;
use contracts::registry::{RegistryEvent, Slashed};
use contracts::{Amount, Receipt};
use serde_json::{Map, Value, json};

use crate::routes::openapi;

fn document() -> Value {
    serde_json::from_str(&openapi()).unwrap()
}

/// The properties of each event in the document, by its name.
fn described(document: &Value) -> BTreeMap<String, Map<String, Value>> {
    let variants = document["components"]["schemas"]["ChainEvent"]["oneOf"].as_array().unwrap();
    let properties = variants.iter().map(|variant| variant["properties"].as_object().unwrap());
    let named = properties.map(|properties| {
        let name = properties["event"]["enum"][0].as_str().unwrap();
        (name.to_owned(), properties.clone())
    });
    named.collect()
}

/// Any value that fits a schema.
fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return sample(document, &document["components"]["schemas"][name]);
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str().unwrap_or_default() {
        "object" => {
            let properties = schema["properties"].as_object().unwrap().iter();
            properties.map(|(name, schema)| (name.clone(), sample(document, schema))).collect()
        }
        "integer" => json!(7),
        "boolean" => json!(true),
        "string" if pattern.contains("64}$") && pattern.contains("{64}") => json!(B256::ZERO),
        "string" if pattern.contains("{40}") => json!(Address::ZERO),
        "string" if pattern.contains("{1,64}") => json!("0x5"),
        "string" if pattern.contains("[0-9]{1,29}") => json!("5"),
        other => panic!("a {other} like {pattern}"),
    }
}

fn registry_events() -> Vec<RegistryEvent> {
    let (signer, amount, seq) = (Address::ZERO, Amount::ZERO, 1);
    let (payout, capabilities_hash, bonded) = (signer, B256::ZERO, amount);
    let receipt = Receipt {
        job_id: B256::ZERO,
        unit: 0,
        attempt: 1,
        output_hash: B256::ZERO,
        preview_hash: B256::ZERO,
        key_commit: B256::ZERO,
        started_at: 1,
        finished_at: 2,
    };
    vec![
        RegistryEvent::Registered { signer, owner: signer, payout, capabilities_hash, seq },
        RegistryEvent::Updated { signer, payout, capabilities_hash, seq },
        RegistryEvent::Bonded { signer, from: signer, amount, bonded, seq },
        RegistryEvent::UnbondRequested {
            signer,
            amount,
            bonded,
            unbonding: amount,
            unbond_at: 9,
            seq,
        },
        RegistryEvent::BondWithdrawn { signer, to: signer, amount, seq },
        RegistryEvent::Slashed(Box::new(Slashed {
            signer,
            reporter: signer,
            job_id: B256::ZERO,
            first: receipt.clone(),
            first_signature: Default::default(),
            second: receipt,
            second_signature: Default::default(),
            burned: amount,
            rewarded: amount,
            seq,
        })),
    ]
}

fn names(value: &Map<String, Value>) -> Vec<&String> {
    value.keys().collect()
}

#[test]
fn every_event_is_described_with_exactly_its_fields() {
    let document = document();
    let mut described = described(&document);
    for event in registry_events() {
        let sent = serde_json::to_value(&event).unwrap();
        let schema = described.remove(sent["event"].as_str().unwrap()).expect("it is described");
        assert_eq!(names(sent.as_object().unwrap()), names(&schema));
    }
    assert_eq!(described.len(), 24);
    for (name, schema) in described {
        // Read as the event itself and written again: what is missing or unknown shows.
        let mut value: Map<String, Value> = schema
            .iter()
            .filter(|(field, _)| *field != "event")
            .map(|(field, schema)| (field.clone(), sample(&document, schema)))
            .collect();
        value.insert("event".into(), json!(name));
        let event: Event = serde_json::from_value(Value::Object(value)).unwrap();
        let sent = serde_json::to_value(&event).unwrap();
        assert_eq!(names(sent.as_object().unwrap()), names(&schema), "{name}");
    }
}

#[test]
fn every_event_can_be_asked_for_by_its_name() {
    let document = document();
    let parameters = document["paths"]["/v1/events"]["get"]["parameters"].as_array().unwrap();
    let kind = parameters.iter().find(|parameter| parameter["name"] == "kind").unwrap();
    let words = find_enum(&kind["schema"]).expect("a list of words");
    let mut asked: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    asked.sort_unstable();
    let described = described(&document);
    let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
    described.sort_unstable();
    assert_eq!(asked, described);
}

/// The list of words of a schema, however it says that there may be none.
fn find_enum(schema: &Value) -> Option<&Vec<Value>> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("enum").and_then(Value::as_array);
            own.or_else(|| fields.values().find_map(find_enum))
        }
        Value::Array(each) => each.iter().find_map(find_enum),
        _ => None,
    }
}
