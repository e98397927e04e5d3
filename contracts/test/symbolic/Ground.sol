// SPDX-License-Identifier: MIT OR Apache-2.0
// Where every symbolic property starts: an escrow and a token in any state, at any time.
pragma solidity 0.8.37;

import {Lot, Order} from "../../src/Order.sol";
import {RenderEscrow} from "../../src/RenderEscrow.sol";
import {LegacyRndr} from "../doubles/LegacyRndr.sol";
import {Vm} from "../Vm.sol";

/// The cheat codes that halmos adds to forge's.
interface Svm {
    function enableSymbolicStorage(address target) external;
    function createBytes(uint256 size, string calldata name) external returns (bytes memory);
    function createUint(uint256 bits, string calldata name) external returns (uint256);
}

abstract contract Ground {
    struct Account {
        uint256 free;
        uint256 credit;
        uint256 seq;
    }

    struct Job {
        uint256 funded;
        uint256 released;
        uint256 pending;
        uint256 unitsPaid;
        uint256 seq;
        uint256 status;
        uint256 closeRequestedAt;
        uint256 creditShare;
    }

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Svm internal constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
    address internal constant DEAD = 0x000000000000000000000000000000000000dEaD;
    address internal constant ISSUER = address(0x155E8);
    address internal constant GUARDIAN = address(0x6A4D);
    string private constant ESCROW = "out-symbolic/RenderEscrow.sol/RenderEscrow.json";
    uint256 internal constant MOST = type(uint96).max;

    LegacyRndr internal rndr;
    RenderEscrow internal escrow;

    function setUp() public {
        rndr = new LegacyRndr();
        escrow = RenderEscrow(_deployed(abi.encode(address(rndr), ISSUER, GUARDIAN)));
        svm.enableSymbolicStorage(address(rndr));
        svm.enableSymbolicStorage(address(escrow));
        uint256 time = svm.createUint(40, "time");
        // Between now and 32,000 years later, so that no sum of times overflows.
        vm.assume(time > 1_700_000_000 && time < 1_000_000_000_000);
        vm.warp(time);
    }

    /// Not by `new`: each file of properties would compile the escrow again.
    function _deployed(bytes memory arguments) private returns (address deployed) {
        bytes memory code = bytes.concat(vm.getCode(ESCROW), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        assert(deployed != address(0));
    }

    // ---- what is stored ----

    function _account(address owner) internal view returns (Account memory a) {
        (a.free, a.credit, a.seq) = escrow.account(owner);
    }

    function _job(bytes32 jobId) internal view returns (Job memory j) {
        (
            j.funded,
            j.released,
            j.pending,
            j.unitsPaid,
            j.seq,
            j.status,
            j.closeRequestedAt,
            j.creditShare
        ) = escrow.job(jobId);
    }

    function _pausedUntil() internal view returns (uint256 until) {
        (,,, until,) = escrow.offices();
    }

    // ---- assumptions, each a theorem of the invariant tests ----

    /// The job's money covers what it paid and reserved, and its counters have room.
    function _sane(Job memory j) internal pure {
        vm.assume(j.released + j.pending <= j.funded);
        vm.assume(j.creditShare <= j.funded);
        vm.assume(j.seq < type(uint32).max - 8);
    }

    /// The account has room for all the money that there is, and for more events.
    function _sane(Account memory a, uint256 more) internal pure {
        vm.assume(a.free + more <= MOST && a.credit + more <= MOST);
        vm.assume(a.seq < type(uint64).max - 8);
    }

    /// Not the escrow's own account, nor another contract of this test.
    function _outsider(address who) internal view {
        vm.assume(who != address(escrow) && who != address(rndr) && who != address(this));
        vm.assume(who != address(0) && who != address(vm) && who != address(svm));
    }

    // ---- calls ----

    function _try(address caller, bytes memory data) internal returns (bool done) {
        vm.prank(caller);
        (done,) = address(escrow).call(data);
    }

    function _one(Lot memory lot) internal pure returns (Lot[] memory lots) {
        lots = new Lot[](1);
        lots[0] = lot;
    }

    function _keys(bytes32 key) internal pure returns (bytes32[] memory keys) {
        keys = new bytes32[](1);
        keys[0] = key;
    }

    function _same(Account memory a, Account memory b) internal pure {
        assert(a.free == b.free && a.credit == b.credit && a.seq == b.seq);
    }
}
