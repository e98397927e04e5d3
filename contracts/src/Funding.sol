// SPDX-License-Identifier: MIT OR Apache-2.0
// Ways into the escrow by signature or plain transfer; keeps no state, no money and no rights.
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    ReentrancyGuardTransient
} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IFunding} from "./IFunding.sol";
import {IRenderEscrow} from "./IRenderEscrow.sol";
import {IBytesAuthorization, ISignatureTransfer} from "./Permits.sol";
import {Order} from "./Order.sol";
import {Vault} from "./Vault.sol";

contract Funding is IFunding, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint8 private constant BY_AUTHORIZATION = 1;
    uint8 private constant BY_PERMIT2 = 2;
    /// A deposit opens nothing.
    bytes32 private constant NO_JOB = 0;
    uint256 private constant VRS_LENGTH = 65;
    bytes32 private constant WITNESS = keccak256("Witness(address account,bytes32 jobId)");
    string private constant WITNESS_TYPE = "Witness witness)"
        "TokenPermissions(address token,uint256 amount)Witness(address account,bytes32 jobId)";

    IRenderEscrow private immutable _escrow;
    IERC20 private immutable _token;
    address private immutable _permit2;
    address private immutable _vaultCode;

    /// `permit2_` is zero on a chain that has none.
    constructor(address escrow_, address permit2_) {
        if (escrow_.code.length == 0) revert Funding_ContractRefused(escrow_);
        if (permit2_ != address(0) && permit2_.code.length == 0) {
            revert Funding_ContractRefused(permit2_);
        }
        _escrow = IRenderEscrow(escrow_);
        _token = IERC20(IRenderEscrow(escrow_).token());
        _permit2 = permit2_;
        _vaultCode = address(new Vault(_escrow, _token));
    }

    // ---- deposits ----

    function depositWithPermit(
        address account,
        uint96 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        IERC20Permit permit = IERC20Permit(address(_token));
        try permit.permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        if (!_token.trySafeTransferFrom(msg.sender, address(this), amount)) {
            uint256 allowed = _token.allowance(msg.sender, address(this));
            revert Funding_PullFailed(msg.sender, amount, _token.balanceOf(msg.sender), allowed);
        }
        _depositFor(account, amount);
    }

    function depositWithAuthorization(
        address from,
        address account,
        uint96 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 nonce = authorizationNonce(account, NO_JOB, salt);
        _takeAuthorized(from, amount, validAfter, validBefore, nonce, signature);
        _depositFor(account, amount);
    }

    function depositWithPermit2(
        address from,
        address account,
        uint96 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external nonReentrant {
        bytes32 witness = permit2Witness(account, NO_JOB);
        _takePermitted(from, amount, nonce, deadline, witness, signature);
        _depositFor(account, amount);
    }

    // ---- openings ----

    function openWith(Order calldata order, bytes calldata payload)
        external
        nonReentrant
        returns (bytes32 jobId)
    {
        _checkAccount(order.refundTo);
        jobId = _escrow.jobIdOf(order);
        _take(order.payer, order.cap, jobId, payload);
        // The escrow spends first what somebody deposited for this contract, and pulls the rest.
        // As much of the payer's tokens stays here then as that gift was: a gift as before.
        // slither-disable-next-line unused-return
        (uint96 free,,) = _escrow.account(address(this));
        if (free < order.cap) _token.forceApprove(address(_escrow), order.cap - free);
        // It returns the jobId again.
        // slither-disable-next-line unused-return
        _escrow.open(order);
    }

    function openFromVault(Order calldata order) external nonReentrant returns (bytes32 jobId) {
        _checkAccount(order.refundTo);
        jobId = _escrow.jobIdOf(order);
        _deployed(jobId).open(order);
    }

    function rescueVault(Order calldata order, address token_)
        external
        nonReentrant
        returns (uint256 sent, uint256 withdrawn)
    {
        bytes32 jobId = _escrow.jobIdOf(order);
        // Money and counts do not matter here.
        // slither-disable-next-line unused-return
        (,,,,, uint8 status,,) = _escrow.job(jobId);
        bool early = status == 0 && block.timestamp < order.openBy;
        if (early && token_ == address(_token)) {
            revert Funding_TooEarly(jobId, order.openBy, block.timestamp);
        }
        Vault vault = _deployed(jobId);
        // The balance from before is meant: it is what must not have moved.
        // slither-disable-next-line reentrancy-balance
        uint256 held = early ? _token.balanceOf(address(vault)) : 0;
        (sent, withdrawn) = vault.rescue(token_, order.refundTo);
        // Some tokens have a second address that moves the same money.
        if (early && _token.balanceOf(address(vault)) < held) {
            revert Funding_TooEarly(jobId, order.openBy, block.timestamp);
        }
    }

    // ---- constants and pure answers ----

    function escrow() external view returns (address) {
        return address(_escrow);
    }

    function token() external view returns (address) {
        return address(_token);
    }

    function permit2() external view returns (address) {
        return _permit2;
    }

    function vaultImplementation() external view returns (address) {
        return _vaultCode;
    }

    function vaultOf(Order calldata order) external view returns (address vault) {
        return Clones.predictDeterministicAddress(_vaultCode, _escrow.jobIdOf(order));
    }

    function authorizationNonce(address account, bytes32 jobId, bytes32 salt)
        public
        pure
        returns (bytes32 nonce)
    {
        return keccak256(abi.encode(account, jobId, salt));
    }

    function permit2Witness(address account, bytes32 jobId) public pure returns (bytes32 witness) {
        return keccak256(abi.encode(WITNESS, account, jobId));
    }

    // ---- single steps ----

    function _checkAccount(address account) private view {
        if (account == address(this)) revert Funding_AccountRefused(account);
    }

    /// Hands on what just arrived; the allowance is used up by it.
    function _depositFor(address account, uint96 amount) private {
        _checkAccount(account);
        _token.forceApprove(address(_escrow), amount);
        _escrow.depositFor(account, amount);
    }

    function _take(address payer, uint96 amount, bytes32 jobId, bytes calldata payload) private {
        uint8 kind = payload.length == 0 ? 0 : uint8(payload[0]);
        if (kind == BY_AUTHORIZATION) {
            (uint256 validAfter, uint256 validBefore, bytes32 salt, bytes memory signature) =
                abi.decode(payload[1:], (uint256, uint256, bytes32, bytes));
            bytes32 nonce = authorizationNonce(payer, jobId, salt);
            _takeAuthorized(payer, amount, validAfter, validBefore, nonce, signature);
        } else if (kind == BY_PERMIT2) {
            (uint256 nonce, uint256 deadline, bytes memory signature) =
                abi.decode(payload[1:], (uint256, uint256, bytes));
            bytes32 witness = permit2Witness(payer, jobId);
            _takePermitted(payer, amount, nonce, deadline, witness, signature);
        } else {
            revert Funding_PayloadUnknown(payload);
        }
    }

    function _takeAuthorized(
        address from,
        uint96 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) private {
        uint256 held = _token.balanceOf(address(this));
        if (signature.length == VRS_LENGTH) {
            (uint8 v, bytes32 r, bytes32 s) = ECDSA.parse(signature);
            IERC3009(address(_token))
                .receiveWithAuthorization(
                    from, address(this), amount, validAfter, validBefore, nonce, v, r, s
                );
        } else {
            IBytesAuthorization(address(_token))
                .receiveWithAuthorization(
                    from, address(this), amount, validAfter, validBefore, nonce, signature
                );
        }
        _checkArrived(amount, held);
    }

    function _takePermitted(
        address from,
        uint96 amount,
        uint256 nonce,
        uint256 deadline,
        bytes32 witness,
        bytes memory signature
    ) private {
        if (_permit2 == address(0)) revert Funding_NoPermit2();
        uint256 held = _token.balanceOf(address(this));
        ISignatureTransfer(_permit2)
            .permitWitnessTransferFrom(
                ISignatureTransfer.PermitTransferFrom(
                    ISignatureTransfer.TokenPermissions(address(_token), amount), nonce, deadline
                ),
                ISignatureTransfer.SignatureTransferDetails(address(this), amount),
                from,
                witness,
                WITNESS_TYPE,
                signature
            );
        _checkArrived(amount, held);
    }

    /// A token without EIP-3009 may say yes to any call and move nothing: its donations would pay.
    function _checkArrived(uint96 amount, uint256 held) private view {
        uint256 holds = _token.balanceOf(address(this));
        if (holds != held + amount) revert Funding_PullInexact(amount, held, holds);
    }

    /// The vault's address has code only from here.
    function _deployed(bytes32 jobId) private returns (Vault) {
        address vault = Clones.predictDeterministicAddress(_vaultCode, jobId);
        // It returns the address that was predicted.
        // slither-disable-next-line unused-return
        if (vault.code.length == 0) Clones.cloneDeterministic(_vaultCode, jobId);
        return Vault(vault);
    }
}
