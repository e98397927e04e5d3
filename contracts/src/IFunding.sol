// SPDX-License-Identifier: MIT OR Apache-2.0
// Every promise and error of the ways in beside the escrow, with all the NatSpec.
pragma solidity 0.8.37;

import {Order} from "./Order.sol";

/// Ways to bring money into one escrow that need no call, or no gas, of the payer: EIP-2612,
/// EIP-3009, Permit2, and a plain transfer to a job's own address, its vault.
///
/// It has no rights in the escrow, no owner, no storage, and between calls no money but what
/// somebody gave it away for nothing: tokens sent to it or an escrow balance deposited for it have
/// no way back. It emits nothing: the escrow's events (`from` or `funder` is this contract or the
/// vault) and the token's (`Transfer`, `AuthorizationUsed`) say it all.
///
/// What a signature of the payer binds, beside the token, this contract, the chain and the amount,
/// is who is credited and which order it opens, if any:
/// EIP-3009: `ReceiveWithAuthorization` to this contract, whose `nonce` is
/// keccak256(abi.encode(account, jobId, salt)). `salt` is the signer's choice, a new one each time.
/// Permit2: `PermitWitnessTransferFrom` with this contract as spender, whose witness is
/// `Witness(address account,bytes32 jobId)`; its witness type string is, without the line break,
/// "Witness witness)TokenPermissions(address token,uint256 amount)
/// Witness(address account,bytes32 jobId)".
/// For a deposit `jobId` is zero. For an order `account` is its payer, who signs, the amount its
/// `cap`, and the signature is the consent to it.
interface IFunding {
    /// There is no contract at this address.
    error Funding_ContractRefused(address given);
    /// This deployment was made without Permit2: use EIP-3009, EIP-2612 or a vault.
    error Funding_NoPermit2();
    /// This contract's own account has no way out.
    error Funding_AccountRefused(address account);
    /// The token did not move `amount`: see whether balance and allowance cover it.
    error Funding_PullFailed(address from, uint256 amount, uint256 balance, uint256 allowance);
    /// The token moved another amount than was signed.
    error Funding_PullInexact(uint256 amount, uint256 balanceBefore, uint256 balanceAfter);
    /// The payload's first byte is neither 1 (EIP-3009) nor 2 (Permit2), or it is empty.
    error Funding_PayloadUnknown(bytes payload);
    /// The vault's escrow balance and tokens together do not cover the order's cap: send the rest.
    error Funding_VaultTooLow(address vault, uint256 cap, uint256 free, uint256 held);
    /// The vault's money may still open the job: `openFromVault` until `from`, rescue from then on.
    error Funding_TooEarly(bytes32 jobId, uint256 from, uint256 now_);
    /// The vault has nothing of this token.
    error Funding_NothingToRescue(address vault, address token);
    /// The token let go of nothing: `held` tokens of the vault and `free` in the escrow stay.
    error Funding_RescueFailed(address vault, address token, uint256 held, uint256 free);
    /// A vault obeys this contract alone.
    error Funding_CallerRefused(address caller, address wanted);

    // ---- deposits ----

    /// Moves `amount` of the caller's own tokens to the free balance of `account`, by EIP-2612. A
    /// permit that does not go through is no failure: whoever saw it may have used it before, so
    /// the caller's allowance for this contract decides.
    function depositWithPermit(
        address account,
        uint96 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// By anyone: moves `amount` of `from`'s tokens to the free balance of `account`, by `from`'s
    /// EIP-3009 authorization. A `signature` of 65 bytes goes to the token as (v, r, s), which all
    /// such tokens take, any other one as bytes, which the newer ones take for contract wallets.
    function depositWithAuthorization(
        address from,
        address account,
        uint96 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 salt,
        bytes calldata signature
    ) external;

    /// By anyone: moves `amount` of `from`'s tokens to the free balance of `account`, by `from`'s
    /// allowance for Permit2 and its signature over exactly that amount.
    function depositWithPermit2(
        address from,
        address account,
        uint96 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    // ---- openings ----

    /// By anyone, before `openBy`: opens the job with `cap` tokens of its payer. `payload` is one
    /// byte that names the way, then the ABI encoding of what it needs:
    /// 1, EIP-3009: (uint256 validAfter, uint256 validBefore, bytes32 salt, bytes signature)
    /// 2, Permit2: (uint256 nonce, uint256 deadline, bytes signature)
    /// @return jobId the order's EIP-712 digest
    function openWith(Order calldata order, bytes calldata payload)
        external
        returns (bytes32 jobId);

    /// By anyone, before `openBy`: the order's vault opens the job with its own money, first what
    /// was deposited for it in the escrow, then its tokens. Until that covers `cap` it reverts and
    /// moves nothing. More than `cap` stays in the vault, for `rescueVault`.
    /// @return jobId the order's EIP-712 digest
    function openFromVault(Order calldata order) external returns (bytes32 jobId);

    /// By anyone: sends all that the vault has of `token` to the order's `refundTo`, of the
    /// escrow's token also what was deposited for the vault in the escrow. The escrow's token once
    /// the job was opened, by whomever, or from `openBy` on; any other token, and native currency
    /// as token zero, at any time. If only one of the two parts can move, that one moves.
    /// @return sent what the vault held itself
    /// @return withdrawn what the escrow held for it
    function rescueVault(Order calldata order, address token)
        external
        returns (uint256 sent, uint256 withdrawn);

    // ---- constants and pure answers ----

    function escrow() external view returns (address);

    /// The escrow's token.
    function token() external view returns (address);

    /// Permit2, or zero if this deployment does without.
    function permit2() external view returns (address);

    /// The code that vaults are ERC-1167 clones of.
    function vaultImplementation() external view returns (address);

    /// Where to send the token to pay for exactly this order, and nothing else: its CREATE2
    /// address by this contract, the jobId being the salt. It exists on the order's chain alone.
    /// Check the terms first: those that the escrow would not open only ever go to `refundTo`.
    function vaultOf(Order calldata order) external view returns (address vault);

    /// The EIP-3009 nonce to sign; `jobId` is zero for a deposit.
    function authorizationNonce(address account, bytes32 jobId, bytes32 salt)
        external
        pure
        returns (bytes32 nonce);

    /// The struct hash of the Permit2 witness; `jobId` is zero for a deposit.
    function permit2Witness(address account, bytes32 jobId) external pure returns (bytes32 witness);
}
