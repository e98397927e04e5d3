//! pure: where the three contracts stand: init codes, CREATE2 addresses, and the deployment file.

use alloy::primitives::{Address, B256, Bytes, address, bytes, keccak256};
use alloy::sol_types::SolConstructor;
use serde::{Deserialize, Serialize};

use crate::funding::PERMIT2;
use crate::{Funding, NodeRegistry, RenderEscrow};

/// The deterministic deployment proxy: takes a salt and an init code, and creates by CREATE2. It
/// is at the same address, with the same code, on every chain where somebody put it.
pub const PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
/// The proxy's whole code.
pub const PROXY_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// Who creates the proxy: nobody has its key, since its one transaction was made from a signature.
pub const PROXY_MAKER: Address = address!("3fAB184622Dc19b6109349B94811493BF2a45362");
/// That transaction, good on every chain once its maker has 0.01 ether.
pub const PROXY_TRANSACTION: Bytes = bytes!(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
    "1ba02222222222222222222222222222222222222222222222222222222222222222"
    "a02222222222222222222222222222222222222222222222222222222222222222"
);

/// Who may issue credit and who may pause, named for ever; zero, the default, is nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offices {
    pub issuer: Address,
    pub guardian: Address,
}

/// All that decides the addresses, which are then the same on every chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub salt: B256,
    pub token: Address,
    pub offices: Offices,
    /// Left out on a chain that has none.
    pub permit2: Option<Address>,
}

/// A contract to be created: its code, its arguments, and where that puts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    pub name: &'static str,
    pub address: Address,
    /// ABI-encoded; the end of the init code.
    pub arguments: Bytes,
    pub init_code: Bytes,
}

impl Creation {
    fn new(name: &'static str, salt: B256, code: &Bytes, arguments: Vec<u8>) -> Self {
        let init_code = Bytes::from([code, arguments.as_slice()].concat());
        let address = PROXY.create2(salt, keccak256(&init_code));
        Self { name, address, arguments: arguments.into(), init_code }
    }

    pub fn init_code_hash(&self) -> B256 {
        keccak256(&self.init_code)
    }

    /// What the proxy takes.
    pub fn calldata(&self, salt: B256) -> Bytes {
        [salt.as_slice(), &self.init_code].concat().into()
    }
}

impl Plan {
    pub fn escrow(&self) -> Creation {
        let Offices { issuer, guardian } = self.offices;
        let arguments = RenderEscrow::constructorCall { token_: self.token, issuer, guardian };
        let code = &RenderEscrow::BYTECODE;
        Creation::new("escrow", self.salt, code, arguments.abi_encode())
    }

    /// In the order in which they can be created: the others ask the escrow.
    pub fn creations(&self) -> [Creation; 3] {
        let escrow = self.escrow();
        let escrow_ = escrow.address;
        let funding =
            Funding::constructorCall { escrow_, permit2_: self.permit2.unwrap_or_default() };
        let funding = Creation::new("funding", self.salt, &Funding::BYTECODE, funding.abi_encode());
        let registry = NodeRegistry::constructorCall { escrow_ };
        let code = &NodeRegistry::BYTECODE;
        let registry = Creation::new("registry", self.salt, code, registry.abi_encode());
        [escrow, funding, registry]
    }
}

/// What a deployment was, whole: enough to verify it, and what services and clients need to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentFile {
    pub chain_id: u64,
    #[serde(with = "crate::text::checksummed")]
    pub proxy: Address,
    pub salt: B256,
    #[serde(with = "crate::text::checksummed")]
    pub token: Address,
    /// Zero: nobody.
    #[serde(with = "crate::text::checksummed")]
    pub issuer: Address,
    #[serde(with = "crate::text::checksummed")]
    pub guardian: Address,
    #[serde(with = "crate::text::checksummed_option")]
    pub permit2: Option<Address>,
    pub escrow: Placed,
    pub funding: Placed,
    pub registry: Placed,
}

/// One contract of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    #[serde(with = "crate::text::checksummed")]
    pub address: Address,
    /// The first one with its code.
    pub block: u64,
    /// The call of the proxy; none when some other contract made it.
    pub tx: Option<B256>,
    pub constructor_arguments: Bytes,
    /// Of bytecode and arguments.
    pub init_code_hash: B256,
    /// Of the code on the chain.
    pub code_hash: B256,
}

impl DeploymentFile {
    pub fn plan(&self) -> Plan {
        let Self { salt, token, issuer, guardian, permit2, .. } = *self;
        Plan { salt, token, offices: Offices { issuer, guardian }, permit2 }
    }

    /// By the names of their creations.
    pub fn placed(&self) -> [(&'static str, &Placed); 3] {
        [("escrow", &self.escrow), ("funding", &self.funding), ("registry", &self.registry)]
    }
}

/// The canonical Permit2 where it has code; `code` is that of its address.
pub fn permit2_of(code: &[u8]) -> Option<Address> {
    (!code.is_empty()).then_some(PERMIT2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let offices =
            Offices { issuer: Address::repeat_byte(2), guardian: Address::repeat_byte(3) };
        Plan { salt: B256::ZERO, token: Address::repeat_byte(1), offices, permit2: Some(PERMIT2) }
    }

    #[test]
    fn addresses_are_those_of_the_proxys_create2() {
        let [escrow, funding, registry] = plan().creations();
        let hash = escrow.init_code_hash();
        let packed = [&[0xff], PROXY.as_slice(), B256::ZERO.as_slice(), hash.as_slice()].concat();
        assert_eq!(escrow.address.as_slice(), &keccak256(packed)[12..]);
        assert_eq!(escrow.init_code, [&RenderEscrow::BYTECODE[..], &escrow.arguments].concat());
        assert_eq!(funding.arguments[12..32], escrow.address[..]);
        assert_eq!(funding.arguments[44..64], PERMIT2[..]);
        assert_eq!(registry.arguments[12..32], escrow.address[..]);
        assert_eq!(escrow.calldata(B256::repeat_byte(9))[..32], [9; 32]);
    }

    #[test]
    fn every_argument_moves_what_depends_on_it() {
        let known = plan().creations();
        let Offices { issuer, guardian } = plan().offices;
        let without = |issuer, guardian| Plan { offices: Offices { issuer, guardian }, ..plan() };
        let changes = [
            (Plan { salt: B256::repeat_byte(1), ..plan() }, [true; 3]),
            (Plan { token: Address::repeat_byte(9), ..plan() }, [true; 3]),
            (without(Address::ZERO, guardian), [true; 3]),
            (without(issuer, Address::ZERO), [true; 3]),
            (Plan { permit2: None, ..plan() }, [false, true, false]),
        ];
        for (other, moved) in changes {
            let creations = other.creations();
            let differs = [0, 1, 2].map(|n: usize| creations[n].address != known[n].address);
            assert_eq!(differs, moved, "{other:?}");
        }
    }

    #[test]
    fn the_proxys_transaction_creates_the_proxy() {
        assert_eq!(PROXY_MAKER.create(0), PROXY);
        let creates =
            PROXY_TRANSACTION.windows(PROXY_CODE.len()).any(|part| part == &PROXY_CODE[..]);
        assert!(creates);
    }
}
