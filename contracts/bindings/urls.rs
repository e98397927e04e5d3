//! pure: addresses of servers in a text, cut down to their hosts: the rest may hold keys.

/// Schemes of servers that are reached with a key in the address.
const SCHEMES: [&str; 4] = ["http://", "https://", "ws://", "wss://"];

/// The text with every address in it cut after host and port, and without user and password.
/// Errors of HTTP clients repeat the whole address, and those of chain nodes hold keys.
pub fn without_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // Ends: each round takes at least a scheme off the rest.
    while let Some((start, scheme)) = first_scheme(rest) {
        let (before, address) = rest.split_at(start + scheme.len());
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || "()<>\"'`,;".contains(c);
        let (address, after) = address.split_at(address.find(ends).unwrap_or(address.len()));
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        shown.push_str(authority.rsplit('@').next().unwrap_or_default());
        rest = after;
    }
    shown.push_str(rest);
    shown
}

fn first_scheme(text: &str) -> Option<(usize, &'static str)> {
    let found = SCHEMES.iter().filter_map(|scheme| Some((text.find(scheme)?, *scheme)));
    found.min_by_key(|(start, _)| *start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_stay_and_keys_go() {
        for (text, shown) in [
            ("no address", "no address"),
            ("url (http://node:8545/v2/KEY): refused", "url (http://node:8545): refused"),
            ("https://u:KEY@node/?token=KEY#KEY", "https://node"),
            ("wss://node/KEY, then ws://[::1]:1/KEY", "wss://node, then ws://[::1]:1"),
            ("https://a:K@Y@node/x", "https://node"),
            ("http://", "http://"),
        ] {
            assert_eq!(without_keys(text), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_keys_are_gone(before in "\\PC{0,20}", key in "KEY[a-z]{9}") {
            let shown = without_keys(&format!("{before} https://u:{key}@h/{key}?{key} end"));
            prop_assert!(!shown.contains(&key), "{}", shown);
            prop_assert!(shown.ends_with("https://h end"));
        }
    }
}
