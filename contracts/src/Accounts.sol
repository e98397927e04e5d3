// SPDX-License-Identifier: MIT OR Apache-2.0
// Balances of all accounts, the only places where the token moves, and the issuer and guardian.
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
    uint256 private constant CREDIT_SHIFT = 96;
    uint256 private constant ACCOUNT_SEQ_SHIFT = 192;
    uint256 private constant ONE_SEQ = 2 ** ACCOUNT_SEQ_SHIFT;
    /// "0x" and 40 hexadecimal digits, the only job name that `fundJob` takes.
    uint256 private constant ADDRESS_TEXT_LENGTH = 42;
    uint256 private constant MAX_PAUSE = 7 days;
    /// From the end of a pause to the next one.
    uint256 private constant PAUSE_REST = 30 days;

    /// One slot: what the issuer and the guardian said last.
    struct Offices {
        address creditSettler;
        uint40 pausedUntil;
        uint56 seq;
    }

    IERC20 private immutable _token;
    address private immutable _issuer;
    address private immutable _guardian;
    Offices private _offices;
    /// One slot: the free balance in the low 96 bits, the credit in the 96 above, then the sequence
    /// number. Packed by hand, so that a payment reads and writes it once.
    mapping(address owner => uint256 packed) private _accounts;

    constructor(address token_, address issuer, address guardian) {
        if (token_.code.length == 0) revert RenderEscrow_TokenRefused(token_);
        _token = IERC20(token_);
        _issuer = issuer;
        _guardian = guardian;
    }

    function deposit(uint96 amount) external nonReentrant {
        _deposit(msg.sender, amount);
    }

    function depositFor(address owner, uint96 amount) external nonReentrant {
        _checkAccount(owner);
        _deposit(owner, amount);
    }

    function fundJob(string calldata jobId, uint256 amount) external nonReentrant {
        _checkCaller(address(_token));
        _checkRunning();
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
        (uint96 amount,,) = account(DEAD);
        (uint96 free, uint64 seq) = _debit(DEAD, amount);
        emit Burned(amount, free, seq);
        _send(DEAD, amount);
    }

    // ---- offices ----

    function issueCredit(address to, uint96 amount) external nonReentrant {
        _checkCaller(_issuer);
        _checkRunning();
        _checkAccount(to);
        if (amount == 0) revert RenderEscrow_AmountZero();
        (uint96 credit, uint64 seq) = _addCredit(to, amount);
        emit CreditIssued(to, amount, credit, seq);
        _pull(msg.sender, amount);
    }

    function nameSettler(address settler) external {
        _checkCaller(_issuer);
        _offices.creditSettler = settler;
        emit CreditSettlerNamed(settler, ++_offices.seq);
    }

    function pause(uint40 until) external {
        _checkCaller(_guardian);
        uint256 from = _offices.pausedUntil;
        if (from != 0) from += PAUSE_REST;
        if (block.timestamp < from) revert RenderEscrow_PauseTooSoon(from, block.timestamp);
        uint256 most = block.timestamp + MAX_PAUSE;
        if (until > most) revert RenderEscrow_PauseTooLong(until, most);
        if (until <= block.timestamp) revert RenderEscrow_NotPaused(until, block.timestamp);
        _offices.pausedUntil = until;
        emit Paused(until, ++_offices.seq);
    }

    function unpause() external {
        _checkCaller(_guardian);
        uint256 until = _offices.pausedUntil;
        if (until <= block.timestamp) revert RenderEscrow_NotPaused(until, block.timestamp);
        // Fits: it is before the pause's end, which has 40 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint40 now_ = uint40(block.timestamp);
        _offices.pausedUntil = now_;
        emit Paused(now_, ++_offices.seq);
    }

    // ---- views ----

    function token() external view returns (address) {
        return address(_token);
    }

    function offices()
        external
        view
        returns (
            address issuer,
            address guardian,
            address creditSettler,
            uint40 pausedUntil,
            uint56 seq
        )
    {
        Offices memory last = _offices;
        return (_issuer, _guardian, last.creditSettler, last.pausedUntil, last.seq);
    }

    function account(address owner) public view returns (uint96 free, uint96 credit, uint64 seq) {
        return _unpack(_accounts[owner]);
    }

    // ---- checks ----

    /// An office that was named zero is nobody's: no caller is the zero address.
    function _checkCaller(address wanted) private view {
        if (msg.sender != wanted) {
            revert RenderEscrow_CallerRefused(msg.sender, wanted, address(0));
        }
    }

    /// Only ways in ask this.
    function _checkRunning() internal view {
        uint256 until = _offices.pausedUntil;
        if (block.timestamp < until) revert RenderEscrow_IsPaused(until, block.timestamp);
    }

    /// Whether an opening with this settler may spend credit.
    function _takesCredit(address settler) internal view returns (bool) {
        return _offices.creditSettler == settler;
    }

    /// Money of the zero account or of the escrow's own would have no way out.
    function _checkAccount(address owner) internal view {
        if (owner == address(0) || owner == address(this)) {
            revert RenderEscrow_AccountRefused(owner);
        }
    }

    // ---- balances ----

    /// Cannot overflow: all balances together never exceed the token balance, kept below 2^96.
    function _credit(address owner, uint96 amount) internal returns (uint96 free, uint64 seq) {
        uint256 packed = _accounts[owner];
        unchecked {
            packed += ONE_SEQ + amount;
        }
        _accounts[owner] = packed;
        (free,, seq) = _unpack(packed);
    }

    /// As `_credit`, of spend-only money.
    function _addCredit(address owner, uint96 amount)
        internal
        returns (uint96 credit, uint64 seq)
    {
        uint256 packed = _accounts[owner];
        unchecked {
            packed += ONE_SEQ + (uint256(amount) << CREDIT_SHIFT);
        }
        _accounts[owner] = packed;
        (, credit, seq) = _unpack(packed);
    }

    function _debit(address owner, uint96 amount) internal returns (uint96 free, uint64 seq) {
        if (amount == 0) revert RenderEscrow_AmountZero();
        (free,, seq) = _spend(owner, amount, 0);
    }

    /// As `_debit`, but nothing may be spent too: an opening can be paid by the allowance alone.
    /// `ofCredit` must be there.
    function _spend(address owner, uint96 ofFree, uint96 ofCredit)
        internal
        returns (uint96 free, uint96 credit, uint64 seq)
    {
        uint256 packed = _accounts[owner];
        (free,,) = _unpack(packed);
        if (ofFree > free) revert RenderEscrow_FreeTooLow(owner, ofFree, free);
        unchecked {
            packed = packed + ONE_SEQ - ofFree - (uint256(ofCredit) << CREDIT_SHIFT);
        }
        _accounts[owner] = packed;
        return _unpack(packed);
    }

    /// Counts an event of the account that moves no money.
    function _count(address owner) internal returns (uint64 seq) {
        uint256 packed = _accounts[owner] + ONE_SEQ;
        _accounts[owner] = packed;
        (,, seq) = _unpack(packed);
    }

    // ---- tokens ----

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
        _checkRunning();
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

    function _unpack(uint256 packed)
        private
        pure
        returns (uint96 free, uint96 credit, uint64 seq)
    {
        // Each cast cuts off what belongs to the others.
        // forge-lint: disable-start(unsafe-typecast)
        free = uint96(packed);
        credit = uint96(packed >> CREDIT_SHIFT);
        seq = uint64(packed >> ACCOUNT_SEQ_SHIFT);
        // forge-lint: disable-end(unsafe-typecast)
    }
}
