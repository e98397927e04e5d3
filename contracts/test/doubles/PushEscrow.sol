// SPDX-License-Identifier: MIT OR Apache-2.0
// Our own writing of the escrow legacy RNDR had: one trusted sender pushes tokens to each payee.
pragma solidity 0.8.37;

import {IFundJob, LegacyRndr} from "./LegacyRndr.sol";

/// A yardstick for gas: same token, same chain, no consent of anybody, no date, no refund.
contract PushEscrow is IFundJob {
    LegacyRndr private immutable _token;
    address private immutable _disburser;
    mapping(string jobId => uint256) public jobBalance;

    event JobBalanceUpdate(string jobId, uint256 balance);

    constructor(LegacyRndr token_) {
        _token = token_;
        _disburser = msg.sender;
    }

    function fundJob(string calldata jobId, uint256 amount) external {
        require(msg.sender == address(_token), "token only");
        jobBalance[jobId] += amount;
        emit JobBalanceUpdate(jobId, jobBalance[jobId]);
    }

    /// One transfer a payment, as the order of the payees says.
    function disburseJob(
        string calldata jobId,
        address[] calldata recipients,
        uint256[] calldata amounts
    ) external {
        require(msg.sender == _disburser, "disburser only");
        require(recipients.length == amounts.length, "one amount each");
        for (uint256 i = 0; i < recipients.length; ++i) {
            jobBalance[jobId] -= amounts[i];
            require(_token.transfer(recipients[i], amounts[i]), "transfer");
        }
        emit JobBalanceUpdate(jobId, jobBalance[jobId]);
    }
}
