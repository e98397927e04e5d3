//! pure: the words of beancount and of hledger for accounts, transactions and balances.

use std::collections::BTreeSet;

use super::{Books, Syntax};
use crate::export::fixed;

impl Books {
    /// What the books are about, and their one commodity.
    pub(super) fn head(&self, from: u64, to: u64) -> String {
        let escrow = &self.escrow;
        let about = [
            format!("Books of {}: blocks {from} to {to}", self.scope.name()),
            format!("of escrow {} on chain {}", escrow.address, escrow.chain_id),
            format!("in {} of token {}", self.commodity, escrow.token),
        ];
        let about: String = about.iter().map(|line| format!("; {line}\n")).collect();
        match self.syntax {
            Syntax::Beancount => {
                format!("{about}\n1970-01-01 commodity {}\n", self.commodity)
            }
            // The directive's decimals are those to which transactions must balance.
            Syntax::Hledger => {
                let zeros = "0".repeat(usize::from(escrow.decimals));
                let commodity = &self.commodity;
                format!("{about}\ndecimal-mark .\ncommodity 1.{zeros} {commodity}\n")
            }
        }
    }

    /// Declares an account before its first use.
    pub(super) fn opened(&self, account: &str) -> String {
        match self.syntax {
            Syntax::Beancount => {
                format!("\n{} open {account} {}\n", self.day, self.commodity)
            }
            Syntax::Hledger => format!("\naccount {account}\n"),
        }
    }

    /// A transaction with its tags; hledger also asserts each balance here.
    pub(super) fn transaction(
        &self,
        what: &str,
        tags: &[(&str, String)],
        legs: &[(String, i128)],
    ) -> String {
        let mut text = match self.syntax {
            Syntax::Beancount => format!("\n{} * \"{what}\"\n", self.day),
            Syntax::Hledger => format!("\n{} * {what}\n", self.day),
        };
        for (name, value) in tags {
            text.push_str(&match self.syntax {
                Syntax::Beancount => format!("  {name}: {value}\n"),
                Syntax::Hledger => format!("    ; {name}:{}\n", value.trim_matches('"')),
            });
        }
        for (account, change) in legs {
            let balance = self.balances.get(account).copied().unwrap_or_default();
            let (change, balance) = (self.money(*change), self.money(balance));
            text.push_str(&match self.syntax {
                Syntax::Beancount => format!("  {account}  {change}\n"),
                Syntax::Hledger => format!("    {account}  {change} = {balance}\n"),
            });
        }
        text
    }

    /// Beancount's assertion, which stands at the begin of the day after. Without `~ 0` it would
    /// let a difference of a base unit pass.
    pub(super) fn balance(&self, account: &str, balance: i128) -> String {
        let (day, number) = (self.next_day(), self.number(balance, self.escrow.decimals));
        format!("\n{day} balance {account}  {number} ~ 0 {}\n", self.commodity)
    }

    /// The last word about every account that is not `asserted` yet.
    pub(super) fn closing(&self, asserted: &BTreeSet<String>) -> String {
        match self.syntax {
            Syntax::Beancount => {
                let balances = self.balances.iter();
                let balances = balances.filter(|(account, _)| !asserted.contains(*account));
                balances.map(|(account, balance)| self.balance(account, *balance)).collect()
            }
            Syntax::Hledger => {
                if self.balances.is_empty() {
                    return String::new();
                }
                let still: Vec<_> =
                    self.balances.keys().map(|account| (account.clone(), 0)).collect();
                self.transaction("Balances at the end", &[], &still)
            }
        }
    }

    fn money(&self, base: i128) -> String {
        format!("{} {}", self.number(base, self.escrow.decimals), self.commodity)
    }

    fn number(&self, base: i128, decimals: u8) -> String {
        let sign = if base < 0 { "-" } else { "" };
        format!("{sign}{}", fixed(base.unsigned_abs(), decimals))
    }
}
