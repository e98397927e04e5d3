// SPDX-License-Identifier: MIT OR Apache-2.0
// The parts of outside contracts that `Funding` calls and OpenZeppelin has no interface for.
pragma solidity 0.8.37;

/// EIP-3009 as USDC has it since its version 2.2: the signature may be a contract wallet's.
interface IBytesAuthorization {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// Permit2, at 0x000000000022D473030F116dDEE9F6B43aC78BA3 on most chains.
interface ISignatureTransfer {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// Moves `owner`'s tokens by its signature over `permit`, the caller and the witness.
    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}
