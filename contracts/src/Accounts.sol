// SPDX-License-Identifier: MIT OR Apache-2.0
// Free balances of all accounts and the only places where the token moves: deposit, withdraw, burn.
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IRenderEscrow} from "./IRenderEscrow.sol";

abstract contract Accounts is IRenderEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Where burnt money goes; legacy RNDR gives holders no `burn`.
    address internal constant DEAD = 0x000000000000000000000000000000000000dEaD;
    uint256 private constant SEQ_SHIFT = 96;
    uint256 private constant ONE_SEQ = 2 ** SEQ_SHIFT;
    /// "0x" and 40 hexadecimal digits, the only job name that `fundJob` takes.
    uint256 private constant ADDRESS_TEXT_LENGTH = 42;

    IERC20 private immutable _token;
    /// One slot: the free balance in the low 96 bits, the sequence number in the 64 above, the
    /// rest spare. Packed by hand, so that a payment reads and writes it once.
    mapping(address owner => uint256 packed) private _accounts;

    constructor(address token_) {
        if (token_.code.length == 0) revert RenderEscrow_TokenRefused(token_);
        _token = IERC20(token_);
    }

    function deposit(uint96 amount) external nonReentrant {
        _deposit(msg.sender, amount);
    }

    function depositFor(address owner, uint96 amount) external nonReentrant {
        _checkAccount(owner);
        _deposit(owner, amount);
    }

    function fundJob(string calldata jobId, uint256 amount) external nonReentrant {
        if (msg.sender != address(_token)) {
            revert RenderEscrow_CallerRefused(msg.sender, address(_token), address(0));
        }
        (bool parsed, address owner) = Strings.tryParseAddress(jobId);
        if (!parsed || bytes(jobId).length != ADDRESS_TEXT_LENGTH) {
            revert RenderEscrow_AccountTextRefused(jobId);
        }
        _checkAccount(owner);
        if (amount == 0) revert RenderEscrow_AmountZero();
        _checkBalance();
        // Fits: the balance, which holds it, was checked just above against 96 bits.
        if (amount > type(uint96).max) revert RenderEscrow_BalanceTooLarge(amount);
        // forge-lint: disable-next-line(unsafe-typecast)
        _deposited(owner, uint96(amount));
    }

    function withdraw(uint96 amount, address to) external nonReentrant {
        _checkAccount(to);
        (uint96 free, uint64 seq) = _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount, free, seq);
        _send(to, amount);
    }

    function burn() external nonReentrant {
        (uint96 amount,) = account(DEAD);
        (uint96 free, uint64 seq) = _debit(DEAD, amount);
        emit Burned(amount, free, seq);
        _send(DEAD, amount);
    }

    function token() external view returns (address) {
        return address(_token);
    }

    function account(address owner) public view returns (uint96 free, uint64 seq) {
        return _unpack(_accounts[owner]);
    }

    /// Money of the zero account or of the escrow's own would have no way out.
    function _checkAccount(address owner) internal view {
        if (owner == address(0) || owner == address(this)) {
            revert RenderEscrow_AccountRefused(owner);
        }
    }

    /// Cannot overflow: all balances together never exceed the token balance, kept below 2^96.
    function _credit(address owner, uint96 amount) internal returns (uint96 free, uint64 seq) {
        uint256 packed = _accounts[owner];
        unchecked {
            packed += ONE_SEQ + amount;
        }
        _accounts[owner] = packed;
        return _unpack(packed);
    }

    function _debit(address owner, uint96 amount) internal returns (uint96 free, uint64 seq) {
        if (amount == 0) revert RenderEscrow_AmountZero();
        return _spend(owner, amount);
    }

    /// As `_debit`, but nothing may be spent too: an opening can be paid by the allowance alone.
    function _spend(address owner, uint96 amount) internal returns (uint96 free, uint64 seq) {
        uint256 packed = _accounts[owner];
        (free,) = _unpack(packed);
        if (amount > free) revert RenderEscrow_FreeTooLow(owner, amount, free);
        unchecked {
            packed = packed + ONE_SEQ - amount;
        }
        _accounts[owner] = packed;
        return _unpack(packed);
    }

    /// Takes exactly `amount` from `from`'s allowance; a token that moves another is refused.
    function _pull(address from, uint96 amount) internal {
        uint256 held = _token.balanceOf(address(this));
        if (!_token.trySafeTransferFrom(from, address(this), amount)) {
            // Legacy RNDR says nothing when it refuses, so the figures are said here.
            uint256 allowed = _token.allowance(from, address(this));
            revert RenderEscrow_PullFailed(from, amount, _token.balanceOf(from), allowed);
        }
        uint256 holds = _checkBalance();
        if (holds < held || holds - held != amount) {
            revert RenderEscrow_DepositInexact(amount, held, holds);
        }
    }

    function _deposit(address owner, uint96 amount) private {
        if (amount == 0) revert RenderEscrow_AmountZero();
        _deposited(owner, amount);
        _pull(msg.sender, amount);
    }

    function _deposited(address owner, uint96 amount) private {
        (uint96 free, uint64 seq) = _credit(owner, amount);
        emit Deposited(owner, msg.sender, amount, free, seq);
    }

    function _send(address to, uint96 amount) private {
        if (!_token.trySafeTransfer(to, amount)) revert RenderEscrow_SendFailed(to, amount);
    }

    /// Keeps the sum of everything owed within 96 bits, so that no later credit can overflow.
    function _checkBalance() private view returns (uint256 holds) {
        holds = _token.balanceOf(address(this));
        if (holds > type(uint96).max) revert RenderEscrow_BalanceTooLarge(holds);
    }

    function _unpack(uint256 packed) private pure returns (uint96 free, uint64 seq) {
        // Both casts cut off what belongs to the other.
        // forge-lint: disable-next-line(unsafe-typecast)
        return (uint96(packed), uint64(packed >> SEQ_SHIFT));
    }
}
