// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed structs of a job and their EIP-712 digests; the digest of an order is its jobId.
pragma solidity 0.8.37;

/// Signed terms of one job. Amounts in the token's base unit, times in unix seconds, shares in
/// basis points.
struct Order {
    address payer;
    address refundTo;
    address approver;
    address settler;
    address feeReceiver;
    uint96 cap;
    uint96 maxUnitPrice;
    uint32 units;
    uint40 openBy;
    uint40 workDeadline;
    uint40 reviewSeconds;
    uint40 claimGrace;
    uint16 feeBps;
    uint16 burnBps;
    bytes32 specHash;
    bytes32 quoteHash;
    bytes32 salt;
}

/// Some units delivered by one node at one unit price; `mask` picks bits of 256-unit word `word`.
struct Lot {
    address node;
    uint32 word;
    uint256 mask;
    uint96 unitPrice;
    bytes32 receiptsRoot;
    bytes32 keyCommit;
}

/// One node's part of a redemption, before fee and burn.
struct Payout {
    address node;
    uint96 amount;
}

/// A node's signed word about one attempt at one unit.
struct Receipt {
    bytes32 jobId;
    uint32 unit;
    uint32 attempt;
    bytes32 outputHash;
    bytes32 previewHash;
    bytes32 keyCommit;
    uint40 startedAt;
    uint40 finishedAt;
}

/// Struct hashes, one type for each act, so that no signature stands for another act.
library Hashes {
    bytes32 internal constant ORDER = keccak256(
        "Order(address payer,address refundTo,address approver,address settler,"
        "address feeReceiver,uint96 cap,uint96 maxUnitPrice,uint32 units,uint40 openBy,"
        "uint40 workDeadline,uint40 reviewSeconds,uint40 claimGrace,uint16 feeBps,uint16 burnBps,"
        "bytes32 specHash,bytes32 quoteHash,bytes32 salt)"
    );
    bytes32 internal constant LOT = keccak256(
        "Lot(bytes32 jobId,address node,uint32 word,uint256 mask,uint96 unitPrice,"
        "bytes32 receiptsRoot,bytes32 keyCommit)"
    );
    bytes32 internal constant ACCEPTANCE = keccak256("Acceptance(bytes32 jobId,bytes32 lotsHash)");
    bytes32 internal constant APPROVAL = keccak256("Approval(bytes32 jobId,bytes32 lotsHash)");
    bytes32 internal constant REJECTION =
        keccak256("Rejection(bytes32 jobId,bytes32 lotHash,uint256 mask,bytes32 reasonHash)");
    bytes32 internal constant CLOSE_REQUEST = keccak256("CloseRequest(bytes32 jobId)");
    bytes32 internal constant CLOSE = keccak256("Close(bytes32 jobId)");
    bytes32 internal constant VOUCHER = keccak256("Voucher(bytes32 jobId,uint96 cumulative)");
    bytes32 internal constant REDEMPTION =
        keccak256("Redemption(bytes32 jobId,uint96 cumulative,bytes32 payoutsHash)");
    bytes32 internal constant PAYOUT = keccak256("Payout(address node,uint96 amount)");
    bytes32 internal constant RECEIPT = keccak256(
        "Receipt(bytes32 jobId,uint32 unit,uint32 attempt,bytes32 outputHash,bytes32 previewHash,"
        "bytes32 keyCommit,uint40 startedAt,uint40 finishedAt)"
    );

    // `order` and `lot` hash calldata as it stands, which saves a check of each field's width
    // every time. An over-wide field makes another hash, which never becomes a job or a lot:
    // opening emits, and so checks, every field of the order, and taking units those of the lot.

    function order(Order calldata terms) internal pure returns (bytes32 hash) {
        bytes32 typeHash = ORDER;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typeHash)
            calldatacopy(add(start, 0x20), terms, 0x220) // 17 words
            hash := keccak256(start, 0x240)
        }
    }

    /// The name of a lot on chain; its `jobId` binds chain, contract and terms.
    function lot(bytes32 jobId, Lot calldata terms) internal pure returns (bytes32 hash) {
        bytes32 typeHash = LOT;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typeHash)
            mstore(add(start, 0x20), jobId)
            calldatacopy(add(start, 0x40), terms, 0xc0) // 6 words
            hash := keccak256(start, 0x100)
        }
    }

    /// As EIP-712 hashes an array of structs, of which these are the hashes.
    function list(bytes32[] memory hashes) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(hashes, 0x20), mul(mload(hashes), 0x20))
        }
    }

    function acceptance(bytes32 jobId, bytes32 lotsHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPTANCE, jobId, lotsHash));
    }

    function approval(bytes32 jobId, bytes32 lotsHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(APPROVAL, jobId, lotsHash));
    }

    function rejection(bytes32 jobId, bytes32 lotHash, uint256 mask, bytes32 reasonHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(REJECTION, jobId, lotHash, mask, reasonHash));
    }

    function closeRequest(bytes32 jobId) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_REQUEST, jobId));
    }

    function close(bytes32 jobId) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE, jobId));
    }

    function voucher(bytes32 jobId, uint96 cumulative) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER, jobId, cumulative));
    }

    function redemption(bytes32 jobId, uint96 cumulative, bytes32 payoutsHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(REDEMPTION, jobId, cumulative, payoutsHash));
    }

    function payouts(Payout[] calldata terms) internal pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](terms.length);
        for (uint256 i = 0; i < terms.length; ++i) {
            hashes[i] = keccak256(abi.encode(PAYOUT, terms[i].node, terms[i].amount));
        }
        return list(hashes);
    }

    function receipt(Receipt calldata word) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT, word));
    }
}
