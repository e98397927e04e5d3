// SPDX-License-Identifier: MIT OR Apache-2.0
// Vaults, nonces, witnesses, digests and payloads of golden.json, which Rust must produce too.
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Permit2Like} from "./doubles/Proxies.sol";
import {FundingFixture} from "./FundingFixture.sol";

contract FundingGoldenTest is FundingFixture {
    /// One vector, and what it takes from its job.
    struct Case {
        string path;
        bytes32 jobId;
        address account;
        uint256 amount;
        address funding;
        address token;
    }

    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/golden.json");
    }

    function test_EveryVectorIsMetHere() public {
        uint256 i = 0;
        while (vm.keyExistsJson(json, _at(".funding", i))) {
            Case memory it = _read(_at(".funding", i++));
            _checkVault(it);
            _checkBindings(it);
            _checkAuthorization(it);
            _checkPermit2(it);
        }
        vm.assertEq(i, 2, "vectors in golden.json");
    }

    function test_VaultsCodeIsTheFirstContractThatFundingCreates() public view {
        vm.assertEq(funding.vaultImplementation(), _firstOf(address(funding)), "implementation");
    }

    function _read(string memory path) private returns (Case memory it) {
        string memory job = _at(".jobs", vm.parseJsonUint(json, string.concat(path, ".job")));
        vm.chainId(vm.parseJsonUint(json, string.concat(job, ".chainId")));
        it.path = path;
        it.jobId = vm.parseJsonBytes32(json, string.concat(job, ".jobId"));
        it.account = vm.parseJsonAddress(json, string.concat(job, ".order.payer"));
        it.amount = vm.parseJsonUint(json, string.concat(job, ".order.cap"));
        it.funding = _address(it, ".funding");
        it.token = _address(it, ".token");
    }

    function _checkVault(Case memory it) private view {
        address code = _address(it, ".vaultImplementation");
        vm.assertEq(_firstOf(it.funding), code, "the vaults' code");
        address vault = Clones.predictDeterministicAddress(code, it.jobId, it.funding);
        vm.assertEq(vault, _address(it, ".vault"), "vault");
    }

    function _checkBindings(Case memory it) private view {
        bytes32 salt = _word(it, ".salt");
        _same(funding.authorizationNonce(it.account, it.jobId, salt), it, ".nonce");
        _same(funding.authorizationNonce(it.account, 0, salt), it, ".depositNonce");
        _same(funding.permit2Witness(it.account, it.jobId), it, ".witness");
        _same(funding.permit2Witness(it.account, 0), it, ".depositWitness");
    }

    function _checkAuthorization(Case memory it) private view {
        uint256 validAfter = _uint(it, ".authorization.validAfter");
        uint256 validBefore = _uint(it, ".authorization.validBefore");
        bytes32 domain = _tokenDomain(it);
        _same(domain, it, ".authorization.domainSeparator");
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
            "uint256 validBefore,bytes32 nonce)"
        );
        bytes32 nonce = funding.authorizationNonce(it.account, it.jobId, _word(it, ".salt"));
        bytes32 act = keccak256(
            abi.encode(kind, it.account, it.funding, it.amount, validAfter, validBefore, nonce)
        );
        _same(act, it, ".authorization.structHash");
        _same(_typed(domain, act), it, ".authorization.digest");
        bytes memory word = _bytes(it, ".authorization.signature");
        bytes memory rest = abi.encode(validAfter, validBefore, _word(it, ".salt"), word);
        _sameBytes(bytes.concat(hex"01", rest), it, ".authorization.payload");
    }

    function _tokenDomain(Case memory it) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,"
                    "address verifyingContract)"
                ),
                keccak256(bytes(vm.parseJsonString(json, string.concat(it.path, ".tokenName")))),
                keccak256(
                    bytes(vm.parseJsonString(json, string.concat(it.path, ".tokenVersion")))
                ),
                block.chainid,
                it.token
            )
        );
    }

    function _checkPermit2(Case memory it) private view {
        uint256 nonce = _uint(it, ".permit2.nonce");
        uint256 deadline = _uint(it, ".permit2.deadline");
        vm.assertEq(_address(it, ".permit2.address"), PERMIT2, "Permit2");
        bytes32 domain = Permit2Like(PERMIT2).DOMAIN_SEPARATOR();
        _same(domain, it, ".permit2.domainSeparator");
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,"
            "uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)"
            "Witness(address account,bytes32 jobId)"
        );
        bytes32 permitted = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"), it.token, it.amount
            )
        );
        bytes32 witness = funding.permit2Witness(it.account, it.jobId);
        bytes32 act = keccak256(abi.encode(kind, permitted, it.funding, nonce, deadline, witness));
        _same(act, it, ".permit2.structHash");
        _same(_typed(domain, act), it, ".permit2.digest");
        bytes memory rest = abi.encode(nonce, deadline, _bytes(it, ".permit2.signature"));
        _sameBytes(bytes.concat(hex"02", rest), it, ".permit2.payload");
    }

    /// CREATE with the nonce 1, which every contract begins with.
    function _firstOf(address creator) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", creator, hex"01")))));
    }

    function _at(string memory path, uint256 i) private pure returns (string memory) {
        return string.concat(path, "[", vm.toString(i), "]");
    }

    function _same(bytes32 made, Case memory it, string memory key) private view {
        vm.assertEq(made, _word(it, key), key);
    }

    function _sameBytes(bytes memory made, Case memory it, string memory key) private view {
        vm.assertEq(keccak256(made), keccak256(_bytes(it, key)), key);
    }

    function _word(Case memory it, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(it.path, key));
    }

    function _uint(Case memory it, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(it.path, key));
    }

    function _address(Case memory it, string memory key) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(it.path, key));
    }

    function _bytes(Case memory it, string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(it.path, key));
    }
}
