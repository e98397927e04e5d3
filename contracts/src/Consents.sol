// SPDX-License-Identifier: MIT OR Apache-2.0
// Which of two addresses said yes to a digest: as the caller, by ECDSA, or by ERC-1271.
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

library Consents {
    /// A wallet may not eat the relayer's gas; checking one P-256 signature takes some 330,000.
    uint256 private constant WALLET_GAS = 400_000;

    /// Who of the two it was, or zero. An empty signature means the caller. `second` may be zero:
    /// then only `first` can consent. ECDSA goes first, so that an EOA's word stays good whatever
    /// code it takes by EIP-7702.
    function by(address first, address second, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (address)
    {
        address signer = msg.sender;
        // Zero when the signature is no good, so the reason can be left unread.
        // slither-disable-next-line unused-return
        if (signature.length != 0) (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer != address(0) && (signer == first || signer == second)) return signer;
        if (signature.length == 0) return address(0);
        if (_byWallet(first, digest, signature)) return first;
        return _byWallet(second, digest, signature) ? second : address(0);
    }

    /// ERC-1271 within `WALLET_GAS`, copying one word of the answer however long it is.
    function _byWallet(address wallet, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool said)
    {
        if (wallet.code.length == 0) return false;
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 yes = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            let size := mload(question)
            let done := staticcall(WALLET_GAS, wallet, add(question, 0x20), size, 0x00, 0x20)
            said := and(and(done, gt(returndatasize(), 0x1f)), eq(mload(0x00), yes))
        }
    }
}
