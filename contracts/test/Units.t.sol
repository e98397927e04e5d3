// SPDX-License-Identifier: MIT OR Apache-2.0
// The arithmetic of units against counting bit by bit.
pragma solidity 0.8.37;

import {Units} from "../src/Units.sol";
import {Fixture} from "./Fixture.sol";

contract UnitsTest is Fixture {
    function setUp() public override {}

    function testFuzz_CountsEachBit(uint256 mask) public pure {
        _counts(mask);
    }

    function test_CountsEveryNumberOfBits() public pure {
        uint256 low = 0;
        for (uint256 i = 0; i <= 256; ++i) {
            _counts(low);
            _counts(~low);
            if (i < 256) _counts(1 << i);
            low = (low << 1) | 1;
        }
    }

    function testFuzz_OutsideIsEachUnitThatDoesNotExist(uint32 word, uint256 mask, uint32 units)
        public
        pure
    {
        // Close to the job's last word, where it matters.
        uint256 last = units / 256;
        uint32 near = uint32((last + word % 3) % (uint256(type(uint32).max) + 1));
        _outside(near, mask, units);
        _outside(word, mask, units);
    }

    function test_OutsideAtTheEdges() public pure {
        uint256 all = type(uint256).max;
        vm.assertEq(Units.outside(0, all, 256), 0, "a full word");
        vm.assertEq(Units.outside(0, all, 255), 1 << 255, "a word less one");
        vm.assertEq(Units.outside(0, all, 1), all << 1, "one unit");
        vm.assertEq(Units.outside(1, all, 256), all, "the word after");
        vm.assertEq(Units.outside(1, all, 257), all << 1, "one unit in the word after");
        vm.assertEq(Units.outside(type(uint32).max, all, type(uint32).max), all, "far away");
    }

    function test_AmountOfAFullWordAtTheHighestPrice() public pure {
        uint96 price = type(uint96).max;
        uint256 amount = Units.amount(type(uint256).max, price);
        vm.assertEq(amount, 256 * uint256(price), "amount");
    }

    function _counts(uint256 mask) private pure {
        uint256 count = 0;
        for (uint256 left = mask; left != 0; left >>= 1) {
            count += left & 1;
        }
        vm.assertEq(Units.count(mask), count, "count");
    }

    function _outside(uint32 word, uint256 mask, uint32 units) private pure {
        uint256 outside = 0;
        for (uint256 bit = 0; bit < 256; ++bit) {
            if (uint256(word) * 256 + bit >= units) outside |= mask & (1 << bit);
        }
        vm.assertEq(Units.outside(word, mask, units), outside, "outside");
    }
}
