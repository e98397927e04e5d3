// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed structs of a job and their EIP-712 digests; the digest of an order is its jobId.
pragma solidity 0.8.37;

/// Signed terms of one job. Amounts in the token's base unit, times in unix seconds, shares in basis points.
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
