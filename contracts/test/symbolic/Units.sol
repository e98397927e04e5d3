// SPDX-License-Identifier: MIT OR Apache-2.0
// Symbolic properties of the arithmetic of units.
pragma solidity 0.8.37;

import {Units} from "../../src/Units.sol";
import {Vm} from "../Vm.sol";

contract SymbolicUnits {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// A step of the induction that defines counting, for a first, an inner and the last bit.
    function check_count_grows_by_one_for_a_bit(uint256 mask) external pure {
        _checkStep(mask, 1);
        _checkStep(mask, 1 << 77);
        _checkStep(mask, 1 << 255);
        assert(Units.count(0) == 0);
    }

    function _checkStep(uint256 mask, uint256 one) private pure {
        assert(Units.count(mask | one) == Units.count(mask & ~one) + 1);
    }

    function check_outside_names_exactly_the_missing_units(
        uint32 word,
        uint256 mask,
        uint32 units,
        uint8 bit
    ) external pure {
        uint256 one = uint256(1) << bit;
        bool isMissing = uint256(word) * 256 + bit >= units;
        bool isNamed = Units.outside(word, mask, units) & one != 0;
        assert(isNamed == (mask & one != 0 && isMissing));
    }

    /// Both factors fit, so the product is exact: at most 256 times a 96-bit price.
    function check_amount_never_overflows(uint256 mask, uint96 price) external pure {
        assert(Units.count(mask) <= 256);
        assert(Units.amount(mask, price) <= 256 * uint256(type(uint96).max));
    }
}
