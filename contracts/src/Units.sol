// SPDX-License-Identifier: MIT OR Apache-2.0
// Pure arithmetic of units: which bits of a word exist, how many are set, what they cost.
pragma solidity 0.8.37;

library Units {
    uint256 internal constant PER_WORD = 256;

    /// Bits of `mask` that name no unit of a job with `units` units.
    function outside(uint32 word, uint256 mask, uint32 units) internal pure returns (uint256) {
        uint256 first = uint256(word) * PER_WORD;
        if (first >= units) return mask;
        uint256 inWord = units - first;
        return inWord >= PER_WORD ? 0 : (mask >> inWord) << inWord;
    }

    /// Number of set bits, by adding neighbours in ever wider fields.
    function count(uint256 mask) internal pure returns (uint256 n) {
        if (mask == type(uint256).max) return PER_WORD;
        unchecked {
            uint256 ones = type(uint256).max;
            n = mask - ((mask >> 1) & (ones / 3));
            n = (n & (ones / 5)) + ((n >> 2) & (ones / 5));
            n = (n + (n >> 4)) & (ones / 17);
            // Sums the 32 bytes into the top one; at most 255 here, so it does not overflow. 255
            // divides `ones`, so nothing is lost before the product.
            // slither-disable-next-line divide-before-multiply
            n = (n * (ones / 255)) >> 248;
        }
    }

    /// What the units of `mask` cost: at most 256 times a 96-bit price, so it never overflows.
    function amount(uint256 mask, uint96 unitPrice) internal pure returns (uint256) {
        unchecked {
            return count(mask) * unitPrice;
        }
    }
}
