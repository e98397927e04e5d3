// SPDX-License-Identifier: MIT OR Apache-2.0
// Names of jobs and lots, against EIP-712 written out: other tests ask the escrow for them.
pragma solidity 0.8.37;

import {Lot, Order} from "../src/Order.sol";
import {Fixture} from "./Fixture.sol";

contract HashTest is Fixture {
    function testFuzz_jobIdOf_IsTheDigestOfAllTerms(Order memory order) public view {
        bytes32 typeHash = keccak256(
            "Order(address payer,address refundTo,address approver,address settler,"
            "address feeReceiver,uint96 cap,uint96 maxUnitPrice,uint32 units,uint40 openBy,"
            "uint40 workDeadline,uint40 reviewSeconds,uint40 claimGrace,uint16 feeBps,"
            "uint16 burnBps,bytes32 specHash,bytes32 quoteHash,bytes32 salt)"
        );
        bytes32 wanted = _digest(keccak256(abi.encode(typeHash, order)));
        vm.assertEq(escrow.jobIdOf(order), wanted, "jobId");
    }

    function testFuzz_lotHashOf_BindsTheJobAndAllTerms(bytes32 jobId, Lot memory lot) public view {
        bytes32 typeHash = keccak256(
            "Lot(bytes32 jobId,address node,uint32 word,uint256 mask,uint96 unitPrice,"
            "bytes32 receiptsRoot,bytes32 keyCommit)"
        );
        bytes32 wanted = keccak256(abi.encode(typeHash, jobId, lot));
        vm.assertEq(escrow.lotHashOf(jobId, lot), wanted, "lot hash");
    }
}
