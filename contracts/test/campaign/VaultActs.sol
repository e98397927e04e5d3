// SPDX-License-Identifier: MIT OR Apache-2.0
// The same acts, and plain transfers to vaults: too little, too late, dust, gifts to `Funding`.
pragma solidity 0.8.37;

import {Funding} from "../../src/Funding.sol";
import {Order} from "../../src/Order.sol";
import {Vm} from "../Vm.sol";
import {Campaign} from "./Campaign.sol";

abstract contract VaultActs is Campaign {
    /// An order that somebody means to pay by a plain transfer, and what came to its vault.
    struct Plan {
        Order order;
        bytes32 jobId;
        address vault;
        uint256 came;
        uint256 intoJob;
        uint256 rescued;
    }

    uint256 private constant MOST_PLANS = 200;
    uint256 private constant LIVELY_PLANS = 3;

    Funding private funding;
    Plan[] private plans;
    uint256 private gifts;

    function _deploy() internal override {
        super._deploy();
        funding = new Funding(address(escrow), address(0));
    }

    function selectors() public pure override returns (bytes4[] memory acts) {
        bytes4[] memory usual = _acts();
        acts = new bytes4[](usual.length + 8);
        for (uint256 i = 0; i < usual.length; ++i) {
            acts[i] = usual[i];
        }
        uint256 n = usual.length;
        (acts[n], acts[n + 1]) = (this.plan.selector, this.payVault.selector);
        (acts[n + 2], acts[n + 3]) = (this.payVault.selector, this.openFromVault.selector);
        (acts[n + 4], acts[n + 5]) = (this.openFromVault.selector, this.rescueVault.selector);
        (acts[n + 6], acts[n + 7]) = (this.openBesideVault.selector, this.give.selector);
    }

    function plan(uint256 seed) external {
        if (plans.length >= MOST_PLANS) return;
        seed = _mix(seed);
        (Order memory order,) = _newOrder(seed);
        if (order.refundTo == address(escrow)) order.refundTo = order.payer;
        // Two plans of the same terms would be one vault, which is accounted for once.
        order.salt = bytes32(plans.length + 1);
        order.openBy = uint40(block.timestamp + (seed >> 8) % 3 hours);
        order.workDeadline = uint40(order.openBy + (seed >> 64) % 3 days);
        plans.push(Plan(order, escrow.jobIdOf(order), funding.vaultOf(order), 0, 0, 0));
        ++done["plan"];
    }

    /// Exactly what is lacking, mostly; else part of it, dust or too much, at any time.
    function payVault(uint256 seed, uint256 any) external {
        if (plans.length == 0) return;
        seed = _mix(seed);
        Plan storage p = _anyPlan(seed);
        uint256 there = rndr.balanceOf(p.vault) + freeOf[p.vault];
        uint256 amount = there < p.order.cap ? p.order.cap - there : 1;
        if ((seed >> 8) % 4 == 0) amount = 1 + any % (1 + uint256(p.order.cap));
        if ((seed >> 8) % 8 == 1) amount = 1;
        address from = _person(seed >> 16);
        rndr.mint(from, amount);
        bool taken_ = true;
        if ((seed >> 24) % 3 == 0) {
            bytes memory data = abi.encodeCall(escrow.depositFor, (p.vault, uint96(amount)));
            taken_ = _enterWithToken(
                "depositFor a vault", address(escrow), data, _by(from), _runs(), true
            );
        } else {
            vm.prank(from);
            rndr.transfer(p.vault, amount);
            ++done["transfer to a vault"];
        }
        if (taken_) p.came += amount;
        _plansHold();
    }

    function openFromVault(uint256 seed) external {
        if (plans.length == 0) return;
        Plan storage p = _anyPlan(_mix(seed));
        bool covered = rndr.balanceOf(p.vault) + freeOf[p.vault] >= p.order.cap;
        bytes memory data = abi.encodeCall(funding.openFromVault, (p.order));
        bool expected = covered && _mayOpen(p.order, p.jobId);
        // Whose money pays, that one consents: the vault's.
        if (_through("openFromVault", seed, data, _by(p.vault), expected)) {
            p.intoJob += p.order.cap;
        }
        _plansHold();
    }

    /// The payer opens the very job otherwise: what is in the vault must not be stuck.
    function openBesideVault(uint256 seed) external {
        if (plans.length == 0 || _mix(seed) % 4 != 0) return;
        Plan storage p = _anyPlan(_mix(seed) >> 8);
        rndr.mint(p.order.payer, p.order.cap);
        bytes memory data = abi.encodeCall(escrow.open, (p.order));
        bool expected = _mayOpen(p.order, p.jobId);
        Consent memory given = _by(p.order.payer);
        _enterWithToken("open beside a vault", address(escrow), data, given, expected, true);
        _plansHold();
    }

    function rescueVault(uint256 seed) external {
        if (plans.length == 0) return;
        _rescue(_anyPlan(_mix(seed)), seed);
        _plansHold();
    }

    /// Tokens that somebody sends to `Funding` by mistake.
    function give(uint256 any) external {
        gifts += any % 1 ether;
        rndr.mint(address(funding), any % 1 ether);
        _plansHold();
    }

    function _rescue(Plan storage p, uint256 seed) private {
        uint256 there = rndr.balanceOf(p.vault) + freeOf[p.vault];
        bool early = jobs[p.jobId].status == 0 && block.timestamp < p.order.openBy;
        uint256 before = rndr.balanceOf(p.order.refundTo);
        Consent memory given = _by(p.vault);
        given.signer = p.order.refundTo;
        bytes memory data = abi.encodeCall(funding.rescueVault, (p.order, address(rndr)));
        if (!_through("rescueVault", seed, data, given, !early && there != 0)) return;
        uint256 arrived = rndr.balanceOf(p.order.refundTo) - before;
        _must(arrived == there, "I13: vault money that refundTo did not get");
        p.rescued += arrived;
    }

    /// By anyone, through `Funding`.
    function _through(
        string memory act,
        uint256 seed,
        bytes memory data,
        Consent memory given,
        bool expected
    ) private returns (bool) {
        (Vm.Log[] memory logs, Answer memory answer) =
            _call(address(funding), _person(_mix(seed) >> 128), data);
        return _judge(act, logs, answer, given, expected, false);
    }

    function _plansHold() private {
        for (uint256 i = 0; i < plans.length; ++i) {
            Plan storage p = plans[i];
            uint256 there = rndr.balanceOf(p.vault) + freeOf[p.vault];
            _must(there + p.intoJob + p.rescued == p.came, "I13: vault money gone elsewhere");
        }
        _must(rndr.balanceOf(address(funding)) == gifts, "I13: Funding kept or lost money");
        (uint256 free, uint256 credit) = (_free(address(funding)), _creditOf(address(funding)));
        _must(free == 0 && credit == 0, "I13: Funding has an account");
    }

    /// Late money too: whatever a vault holds after all dates, anyone sends to `refundTo`.
    function _beforeTheWalkOut() internal override {
        for (uint256 i = 0; i < plans.length; ++i) {
            _rescue(plans[i], i);
            uint256 left = rndr.balanceOf(plans[i].vault) + freeOf[plans[i].vault];
            _must(left == 0, "I13: money left in a vault");
        }
        _plansHold();
    }

    function _anyPlan(uint256 seed) private view returns (Plan storage) {
        return plans[_pick(seed >> 100, plans.length, LIVELY_PLANS)];
    }
}
