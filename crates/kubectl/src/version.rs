//! `version` (contract section 7.2).

use serde_json::{Value, json};

/// What this program is.
pub(crate) fn version() -> Value {
    json!({
        "gitVersion": concat!("v", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("CLUSTERWAY_GIT_COMMIT").unwrap_or("unknown"),
        "buildDate": option_env!("CLUSTERWAY_BUILD_DATE").unwrap_or("unknown"),
        "platform": format!("{}/{}", system(std::env::consts::OS), processor(std::env::consts::ARCH)),
    })
}

/// Names as Go and Kubernetes spell them.
fn system(name: &str) -> &str {
    if name == "macos" { "darwin" } else { name }
}

fn processor(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_the_contracts_fields() {
        let version = version();
        let fields: Vec<&String> = version.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["buildDate", "gitCommit", "gitVersion", "platform"]);
        assert_eq!(
            (system("macos"), processor("x86_64"), processor("aarch64")),
            ("darwin", "amd64", "arm64")
        );
    }
}
