//! [`Object`]: what a request is about, as its reference names it or else its path.
//!
//! Invariant: what the reference tells counts; its path is read only as Kubernetes itself reads it, and what is
//! no resource in it is no object.
//!
//! Source: Kubernetes, *API Concepts* (resource URIs), `RequestInfo` of `k8s.io/apiserver`.

use super::super::json::Json;

/// Parts of a namespace, not resources in it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];
/// What stands before the path of a resource where it is watched or passed on to, in an old way.
const OLD_VERBS: [&str; 2] = ["watch", "proxy"];

/// An object, or all of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Object<'j> {
    pub(super) namespace: Option<&'j str>,
    pub(super) resource: &'j str,
    pub(super) name: Option<&'j str>,
    pub(super) part: Option<&'j str>,
}

impl<'j> Object<'j> {
    /// What `record` is about; `None` of a request for what is no resource.
    pub(super) fn of(record: &'j Json<'_>) -> Option<Self> {
        let path = record.text("requestURI").and_then(|uri| uri.split('?').next());
        let in_path = path.and_then(Self::in_path);
        let made = ["responseObject.metadata.name", "requestObject.metadata.name"];
        let Some(resource) = record.text("objectRef.resource") else {
            let found = in_path.filter(|_| record.at("objectRef").is_none())?;
            return Some(Self { name: found.name.or_else(|| record.first(&made)), ..found });
        };
        let own = record.text("objectRef.name");
        let in_path = in_path.filter(|found| found.resource == resource);
        Some(Self {
            namespace: record.text("objectRef.namespace"),
            resource,
            name: own.or_else(|| in_path?.name).or_else(|| record.first(&made)),
            part: record.text("objectRef.subresource"),
        })
    }

    /// `/apis/apps/v1/namespaces/shop/deployments/web/scale`, which Rancher has behind `/k8s/clusters/c-1`.
    fn in_path(path: &'j str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/').peekable();
        if parts.next_if_eq(&"k8s").is_some() {
            parts.nth(1)?;
        }
        // The group, which the first API and the first of `OpenShift` have none of, and the version.
        match parts.next()? {
            "apis" => parts.nth(1)?,
            "api" | "oapi" => parts.next()?,
            _ => return None,
        };
        parts.next_if(|part| OLD_VERBS.contains(part));
        let mut found = Self { resource: parts.next()?, ..Self::default() };
        if found.resource == "namespaces" {
            found.namespace = parts.next();
            match parts.next_if(|part| !OF_NAMESPACES.contains(part)) {
                Some(resource) => found.resource = resource,
                None => found.name = found.namespace.take(),
            }
        }
        found.name = found.name.or_else(|| parts.next());
        found.part = parts.next();
        (!found.resource.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_the_object_or_stands_in_its_path() {
        for (uri, resource, name) in [
            ("/apis/apps/v1/namespaces/shop/deployments/web/scale", "deployments", Some("web")),
            ("/api/v1/namespaces/pods/pods/web?x=/pods/y", "pods", Some("web")),
            ("/api/v1/namespaces/shop", "namespaces", Some("shop")),
            ("/api/v1/nodes/a", "nodes", Some("a")),
            ("/api/v1/namespaces/shop/pods", "pods", None),
            ("/api/v1/namespaces/shop/pods/", "pods", None),
            ("/version", "pods", None),
            ("/", "pods", None),
        ] {
            let text = format!(
                "{{\"requestURI\":\"{uri}\",\"objectRef\":{{\"resource\":\"{resource}\"}}}}"
            );
            let json = Json::parse(&text).unwrap();
            assert_eq!(Object::of(&json).unwrap().name, name, "{uri}");
        }
        let made = r#"{"requestURI":"/api/v1/namespaces/a/pods","objectRef":{"resource":"pods"},
            "requestObject":{"metadata":{"generateName":"w-"}},"responseObject":{"metadata":{"name":"w-1"}}}"#;
        for made in [made, &made.replace("objectRef", "none")] {
            assert_eq!(Object::of(&Json::parse(made).unwrap()).unwrap().name, Some("w-1"));
        }
    }

    #[test]
    fn a_path_without_a_reference_is_read_as_the_resource_that_it_is() {
        for (uri, wanted) in [
            (
                "/api/v1/namespaces/shop/secrets/key?x=y",
                Some((Some("shop"), "secrets", Some("key"), None)),
            ),
            (
                "/apis/apps/v1/namespaces/shop/deployments/web/scale",
                Some((Some("shop"), "deployments", Some("web"), Some("scale"))),
            ),
            ("/api/v1/namespaces/shop/pods", Some((Some("shop"), "pods", None, None))),
            ("/api/v1/namespaces", Some((None, "namespaces", None, None))),
            ("/api/v1/namespaces/shop", Some((None, "namespaces", Some("shop"), None))),
            (
                "/api/v1/namespaces/shop/finalize",
                Some((None, "namespaces", Some("shop"), Some("finalize"))),
            ),
            ("/api/v1/watch/nodes/a", Some((None, "nodes", Some("a"), None))),
            ("/apis/metrics.k8s.io/v1beta1?timeout=32s", None),
            ("/apis/apps", None),
            (
                "/k8s/clusters/c-1/api/v1/namespaces/shop/pods/web",
                Some((Some("shop"), "pods", Some("web"), None)),
            ),
            ("/k8s/clusters/c-1/v1/apps.deployments", None),
            ("/k8s/clusters", None),
            ("/api/v1/", None),
            ("/api", None),
            ("/readyz", None),
            ("/", None),
        ] {
            let text = format!("{{\"requestURI\":\"{uri}\"}}");
            let json = Json::parse(&text).unwrap();
            let found = Object::of(&json);
            let found = found.map(|one| (one.namespace, one.resource, one.name, one.part));
            assert_eq!(found, wanted, "{uri}");
        }
    }
}
