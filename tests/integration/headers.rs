//! `CloudEvents` in Kafka's binary mode on a real broker: what stands in headers is a part of the event.

use std::fs;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _};

use crate::exactly_once::{end, records_read, start, wait_for, worker};
use crate::kafka::Kafka;
use crate::process::{sql, tried};

const NAME: &str = "an_event_whose_attributes_are_headers_is_stored_as_one_in_structured_mode";
const ATTRIBUTES: [(&str, &str); 6] = [
    ("specversion", "1.0"),
    ("id", "delivery-1"),
    ("source", "https://kubernetes.example/clusters/prod"),
    ("type", "k8s.io.audit"),
    ("time", "2026-03-02T10:00:00Z"),
    ("datacontenttype", "application/json"),
];
const DATA: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a-1",
    "stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/secrets/db","verb":"get",
    "user":{"username":"system:serviceaccount:prod:deploy-agent"},"sourceIPs":["192.0.2.7"],
    "objectRef":{"resource":"secrets","namespace":"prod","name":"db","apiVersion":"v1"},
    "responseStatus":{"code":200},"requestReceivedTimestamp":"2026-03-02T10:00:00Z"}"#;

#[test]
fn an_event_whose_attributes_are_headers_is_stored_as_one_in_structured_mode() {
    let Some(kafka) = Kafka::start().real(NAME) else { return };
    let topic = kafka.topic("events", 1);
    let folder = worker(&kafka, &topic);
    let folder = folder.path();
    let path = folder.join("surety.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("format = \"native\"", "format = \"cloudevents\"")).unwrap();
    let mut structured: serde_json::Map<String, serde_json::Value> =
        ATTRIBUTES.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
    structured.insert("data".to_owned(), serde_json::from_str(DATA).unwrap());
    let structured = serde_json::to_string(&structured).unwrap();
    let headers = ATTRIBUTES.iter().fold(OwnedHeaders::new(), |headers, (name, text)| {
        let name = match *name {
            "datacontenttype" => "content-type".to_owned(),
            name => format!("ce_{name}"),
        };
        headers.insert(Header { key: &name, value: Some(*text) })
    });
    let producer = kafka.producer();
    let record = || BaseRecord::<str, str>::to(&topic).partition(0);
    producer.send(record().payload(DATA).headers(headers)).unwrap();
    producer.send(record().payload(&structured)).unwrap();
    producer.send(record().payload(DATA)).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();

    let mut running = start(folder);
    wait_for(folder, &mut running, "three records", || 3 <= records_read(folder));
    end(folder, running);

    let events =
        "SELECT agent_id, action, resource, outcome, attributes FROM events ORDER BY kafka_offset";
    let events = sql(folder, "surety-data", events);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["agent_id"], "system:serviceaccount:prod:deploy-agent");
    assert_eq!(events[0], events[1]);
    let rejects = sql(folder, "surety-data", "SELECT reason, detail FROM rejects");
    let detail = rejects[0]["detail"].as_str().unwrap();
    assert!(detail.contains("`ce_specversion`"), "without its headers it is none: {detail}");
    tried(NAME, 3);
}
