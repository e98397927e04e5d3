// SPDX-License-Identifier: MIT OR Apache-2.0
// A job's own deposit address: opens the job with what arrived there, or lets it go to `refundTo`.
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IFunding} from "./IFunding.sol";
import {IRenderEscrow} from "./IRenderEscrow.sol";
import {Order} from "./Order.sol";

/// `Funding` deploys one of these, and for each order a clone of it, all of which obey it alone.
contract Vault {
    using SafeERC20 for IERC20;

    address private immutable _funding;
    IRenderEscrow private immutable _escrow;
    IERC20 private immutable _token;

    constructor(IRenderEscrow escrow, IERC20 token) {
        _funding = msg.sender;
        _escrow = escrow;
        _token = token;
    }

    modifier onlyFunding() {
        _checkCaller();
        _;
    }

    /// Opens the job with this vault's own money, or moves nothing while that is less than `cap`.
    function open(Order calldata order) external onlyFunding {
        // Credit and number do not matter here.
        // slither-disable-next-line unused-return
        (uint96 free,,) = _escrow.account(address(this));
        if (free < order.cap) {
            uint256 held = _token.balanceOf(address(this));
            uint256 lack = order.cap - free;
            if (held < lack) {
                revert IFunding.Funding_VaultTooLow(address(this), order.cap, free, held);
            }
            _token.forceApprove(address(_escrow), lack);
        }
        // It returns the jobId, which the caller knows.
        // slither-disable-next-line unused-return
        _escrow.open(order);
    }

    /// Sends what this vault has of `token` to `to`, as `IFunding.rescueVault` says.
    // Who is called in between comes back to no function here: `Funding` has a lock. Zero is
    // compared with as "nothing at all"; more than that does no harm.
    // slither-disable-start reentrancy-balance,incorrect-equality,unused-return
    function rescue(address token, address to)
        external
        onlyFunding
        returns (uint256 sent, uint256 withdrawn)
    {
        uint256 free = 0;
        if (token == address(_token)) {
            (free,,) = _escrow.account(address(this));
            withdrawn = _withdraw(free, to);
        }
        uint256 held = _heldOf(token);
        if (held == 0 && free == 0) revert IFunding.Funding_NothingToRescue(address(this), token);
        sent = _send(token, held, to);
        if (sent == 0 && withdrawn == 0) {
            revert IFunding.Funding_RescueFailed(address(this), token, held, free);
        }
    }
    // slither-disable-end reentrancy-balance,incorrect-equality,unused-return

    function _checkCaller() private view {
        if (msg.sender != _funding) revert IFunding.Funding_CallerRefused(msg.sender, _funding);
    }

    function _heldOf(address token) private view returns (uint256) {
        if (token == address(0)) return address(this).balance;
        if (token.code.length == 0) revert IFunding.Funding_ContractRefused(token);
        return IERC20(token).balanceOf(address(this));
    }

    /// Zero if the token refuses: an escrow that it blocks does not hold the vault's tokens back.
    function _withdraw(uint256 free, address to) private returns (uint256) {
        if (free == 0) return 0;
        // Fits: it came from the escrow with 96 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        try _escrow.withdraw(uint96(free), to) {
            return free;
        } catch {
            return 0;
        }
    }

    // `to` is the `refundTo` of the order whose vault this is, as `Funding` sees to; it may be a
    // wallet with code, which needs the gas. Zero is compared with as "nothing at all".
    // slither-disable-start arbitrary-send-eth,incorrect-equality,low-level-calls
    /// Zero if the token refuses: a vault that it blocks does not hold the escrow's money back.
    function _send(address token, uint256 held, address to) private returns (uint256) {
        if (held == 0) return 0;
        bool done;
        if (token == address(0)) (done,) = to.call{value: held}("");
        else done = IERC20(token).trySafeTransfer(to, held);
        return done ? held : 0;
    }
    // slither-disable-end arbitrary-send-eth,incorrect-equality,low-level-calls
}
