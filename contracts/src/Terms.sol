// SPDX-License-Identifier: MIT OR Apache-2.0
// Pure bounds of an order's terms, checked once, when the job opens.
pragma solidity 0.8.37;

import {IRenderEscrow} from "./IRenderEscrow.sol";
import {Order} from "./Order.sol";

library Terms {
    /// Less time than this is no chance to reject.
    uint256 private constant MIN_REVIEW = 10 minutes;
    uint256 private constant MAX_REVIEW = 14 days;
    uint256 private constant MIN_GRACE = 1 hours;
    uint256 private constant MAX_GRACE = 14 days;
    uint256 private constant MAX_FEE_BPS = 1000;
    uint256 private constant ALL_BPS = 10_000;
    /// A job counts its paid units in 24 bits.
    uint256 private constant MAX_UNITS = type(uint24).max;

    function check(Order calldata order) internal pure {
        if (order.settler == order.payer || order.settler == order.approver) {
            revert IRenderEscrow.RenderEscrow_SettlerOnPayerSide(order.settler);
        }
        _within("cap", order.cap, 1, type(uint96).max);
        // Without units a job pays calls by vouchers, which have no unit price.
        _within("maxUnitPrice", order.maxUnitPrice, order.units == 0 ? 0 : 1, type(uint96).max);
        _within("units", order.units, 0, MAX_UNITS);
        _within("openBy", order.openBy, 0, order.workDeadline);
        _within("reviewSeconds", order.reviewSeconds, MIN_REVIEW, MAX_REVIEW);
        _within("claimGrace", order.claimGrace, MIN_GRACE, MAX_GRACE);
        _within("feeBps", order.feeBps, 0, MAX_FEE_BPS);
        _within("burnBps", order.burnBps, 0, ALL_BPS - order.feeBps);
    }

    function _within(bytes32 term, uint256 given, uint256 least, uint256 most) private pure {
        if (given < least || given > most) {
            revert IRenderEscrow.RenderEscrow_TermRefused(term, given, least, most);
        }
    }
}
