"""The examples of BOLT 11 (github.com/lightning/bolts, 11-payment-encoding.md), valid and invalid.

They share most of their fields, so each is put together from the shared ones.
"""

from __future__ import annotations

from dataclasses import dataclass

PRIVATE_KEY = "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"
NODE_ID = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
PAYMENT_HASH = "0001020304050607080900010203040506070809000102030405060708090102"
PICO_PAYMENT_HASH = "462264ede7e14047e9b249da94fefc47f41f7d02ee9b091815a5506bc8abf75f"
PAYMENT_SECRET = "11" * 32
CAKE_HASH = "3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1"
TIMESTAMP_S = 1496314658
PICO_TIMESTAMP_S = 1572468703

_T = "pvjluez"
_S = "sp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs"
_P = "pp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq"
_H = "hp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs"
_F = "9qrsgq"
_COFFEE = "dq5xysxxatsyp3k7enxv4js"
_NONSENSE = "dpquwpc4curk03c9wlrswe78q4eyqc7d8d0"
_BEANS = "dq5vdhkven9v5sxyetpdees"
_DONATION = "dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq"
_MINUTE = "xqzpu"
_ROUTE = (
    "r9yq20q82gphp2nflc7jtzrcazrra7wwgzxqc8u7754cdlpfrmccae92qgzqvzq2ps8pqqqqqqpqqqqq9qqqvpeuqafq"
    "xu92d8lr6fvg0r5gv0heeeqgcrqlnm6jhphu9y00rrhy4grqszsvpcgpy9qqqqqqgqqqqq7qqzq"
)
_STORE = (
    "d8dgfkx7cmtwd68yetpd5s9xar0wfjn5gpc8qhrsdfq24f5ggrxdaezqsnvda3kkum5wfjkzmfqf3jkgem9wgsyuctwd"
    "us9xgrcyqcjcgpzgfskx6eqf9hzqnteypzxz7fzypfhg6trddjhygrcyqezcgpzfysywmm5ypxxjemgw3hxjmn8yptk7"
    "untd9hxwg3q2d6xjcmtv4ezq7pqxgsxzmnyyqcjqmt0wfjjq6t5v4khx"
)
STORE_DESCRIPTION = (
    'Blockstream Store: 88.85 USD for Blockstream Ledger Nano S x 1, "Back In My Day" Sticker x 2,'
    ' "I Got Lightning Working" Sticker x 2 and 1 more items'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidExample:
    """One invoice of the specification and what it must read as."""

    name: str
    text: str
    prefix: str = "bc"
    amount_msat: int | None
    timestamp_s: int = TIMESTAMP_S
    payment_hash: str = PAYMENT_HASH
    description: str | None = None
    expiry_s: int = 3600
    min_final_cltv: int = 18
    features: frozenset[int] = frozenset({8, 14})
    metadata: str | None = None
    payee_pubkey: str | None = NODE_ID
    """None where the specification does not say it."""
    ours_to_write: bool = False
    """Holds nothing that we do not write, in our order: signing it must give the same text."""


def _cake(name: str, *, text: str, prefix: str = "bc") -> ValidExample:
    return ValidExample(name=name, text=text, prefix=prefix, amount_msat=2_000_000_000)


_IGNORED_FIELDS = "".join(
    (
        "2qrqqq",
        "fppn" + "q" * 32,
        "ppn" + "q" * 51 + "pp4" + "q" * 53,
        "hpn" + "q" * 51 + "hp4" + "q" * 53,
        "spn" + "q" * 51 + "sp4" + "q" * 53,
        "np5" + "q" * 52 + "npk" + "q" * 54,
    )
)
_BEANS_TEXT = (
    f"lnbc25m1{_T}{_P}{_BEANS}{_S}9q5sqqqqqqqqqqqqqqqqsgq2a25dxl5hrntdtn6zvydt7d66hyzsyhqs4wdyna"
    "vys42xgl6sgx9c4g7me86a27t07mdtfry458rtjr0v92cnmswpsjscgt2vcse3sgpz3uapa"
)

VALID = (
    ValidExample(
        name="donation of any amount",
        text=f"lnbc1{_T}{_S}{_P}{_DONATION}{_F}357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9u"
        "s6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql",
        amount_msat=None,
        description="Please consider supporting this project",
        ours_to_write=True,
    ),
    ValidExample(
        name="a cup of coffee within a minute",
        text=f"lnbc2500u1{_T}{_S}{_P}{_COFFEE}{_MINUTE}{_F}uk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8"
        "nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh",
        amount_msat=250_000_000,
        description="1 cup coffee",
        expiry_s=60,
        ours_to_write=True,
    ),
    ValidExample(
        name="a cup of nonsense, in UTF-8",
        text=f"lnbc2500u1{_T}{_S}{_P}{_NONSENSE}{_MINUTE}{_F}htjpauu9ur7fw2thcl4y9vfvh4m9wlfyz2gem29"
        "g5ghe2aak2pm3ps8fdhtceqsaagty2vph7utlgj48u0ged6a337aewvraedendscp573dxr",
        amount_msat=250_000_000,
        description="ナンセンス 1杯",
        expiry_s=60,
        ours_to_write=True,
    ),
    ValidExample(
        name="a list of things, hashed",
        text=f"lnbc20m1{_T}{_S}{_P}{_H}{_F}7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9"
        "rxrydzd06dfeawfk6swupvz4erwnyutnjq7x39ymw6j38gp7ynn44",
        amount_msat=2_000_000_000,
        ours_to_write=True,
    ),
    _cake(
        "testnet, with a fallback address",
        prefix="tb",
        text=f"lntb20m1{_T}{_S}{_H}{_P}fpp3x9et2e20v6pu37c5d9vax37wxq72un98{_F}dj545axuxtnfemtpwkc45"
        "hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8",
    ),
    _cake(
        "fallback address and a private route",
        text=f"lnbc20m1{_T}{_S}{_P}{_H}fpp3qjmp7lwpagxun9pygexvgpjdc4jdj85f{_ROUTE}{_F}dfjcdk6w3ak5p"
        "ca9hwfwfh63zrrz06wwfya0ydlzpgzxkn5xagsqz7x9j4jwe7yj7vaf2k9lqsdk45kts2fd0fkr28am0u4w95tt2nsq"
        "76cqw0",
    ),
    _cake(
        "P2SH fallback",
        text=f"lnbc20m1{_T}{_S}{_H}{_P}fppj3a24vwu6r8ejrss3axul8rxldph2q7z9{_F}z6qsgww34xlatfj6e3sng"
        "rwfy3ytkt29d2qttr8qz2mnedfqysuqypgqex4haa2h8fx3wnypranf3pdwyluftwe680jjcfp438u82xqphf75ym",
    ),
    _cake(
        "P2WPKH fallback",
        text=f"lnbc20m1{_T}{_S}{_H}{_P}fppqw508d6qejxtdg4y5r3zarvary0c5xw7k{_F}t29a0wturnys2hhxpner2"
        "e3plp6jyj8qx7548zr2z7ptgjjc7hljm98xhjym0dg52sdrvqamxdezkmqg4gdrvwwnf0kv2jdfnl4xatsqmrnsse",
    ),
    _cake(
        "P2WSH fallback",
        text=f"lnbc20m1{_T}{_S}{_H}{_P}fp4qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q{_F}9"
        "vlvyj8cqvq6ggvpwd53jncp9nwc47xlrsnenq2zp70fq83qlgesn4u3uyf4tesfkkwwfg3qs54qe426hp3tz7z6sweq"
        "djg05axsrjqp9yrrwc",
    ),
    _cake(
        "P2TR fallback",
        text=f"lnbc20m1{_T}{_S}{_P}{_H}fp4pptdvg0d2nj99568qn6ssdy4cygnwuxgw2ukmnwgwz7jpqjz2kszs{_F}y"
        "606dznq28exnydt2r4c29y56xjtn3sk4mhgjtl4pg2y4ar3249rq4ajlmj9jy8zvlzw7cr8mggqzm842xfr0v72rswz"
        "q9xvr4hknfsqwmn6xd",
    ),
    ValidExample(
        name="amount in pico-bitcoin, with a route",
        text="lnbc9678785340p1pwmna7lpp5gc3xfm08u9qy06djf8dfflhugl6p7lgza6dsjxq454gxhj9t7a0s"
        f"{_STORE}{_S}xqyjw5qcqp2rzjq0gxwkzc8w6323m55m4jyxcjwmy7stt9hwkwe2qxmy8zpsgg7jcuwz87fcqqeuqqq"
        f"yqqqqlgqqqqn3qq9q{_F}rvgkpnmps664wgkp43l22qsgdw4ve24aca4nymnxddlnp8vh9v2sdxlu5ywdxefsfvm0fq"
        "3sesf08uf6q9a2ke0hc9j6z6wlxg5z5kqpu2v9wz",
        amount_msat=967_878_534,
        timestamp_s=PICO_TIMESTAMP_S,
        payment_hash=PICO_PAYMENT_HASH,
        description=STORE_DESCRIPTION,
        expiry_s=604_800,
        min_final_cltv=10,
    ),
    ValidExample(
        name="coffee beans, with the unknown odd feature 99",
        text=_BEANS_TEXT,
        amount_msat=2_500_000_000,
        description="coffee beans",
        features=frozenset({8, 14, 99}),
    ),
    ValidExample(
        name="the same in upper case",
        text=_BEANS_TEXT.upper(),
        amount_msat=2_500_000_000,
        description="coffee beans",
        features=frozenset({8, 14, 99}),
    ),
    ValidExample(
        name="the same with fields that must be ignored",
        text=f"lnbc25m1{_T}{_P}{_BEANS}{_S}9q5sqqqqqqqqqqqqqqqqsgq{_IGNORED_FIELDS}z599y53s3ujmcfjp5"
        "xrdap68qxymkqphwsexhmhr8wdz5usdzkzrse33chw6dlp3jhuhge9ley7j2ayx36kawe7kmgg8sv5ugdyusdcqzn8z"
        "9x",
        amount_msat=2_500_000_000,
        description="coffee beans",
        features=frozenset({8, 14, 99}),
    ),
    ValidExample(
        name="payment metadata",
        text=f"lnbc10m1{_T}{_P}dp9wpshjmt9de6zqmt9w3skgct5vysxjmnnd9jx2mq8q8a04uq{_S}9q2gqqqqqqsgq7h"
        "f8he7ecf7n4ffphs6awl9t6676rrclv9ckg3d3ncn7fct63p6s365duk5wrk202cfy3aj5xnnp5gs3vrdvruverwwq7"
        "yzhkf5a3xqpd05wjc",
        amount_msat=1_000_000_000,
        description="payment metadata inside",
        features=frozenset({8, 14, 48}),
        metadata="01fafaf0",
    ),
    ValidExample(
        name="a key recovered from a high-S signature",
        text=f"lnbc1{_T}{_S}{_P}{_DONATION}{_F}357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap2r"
        "09nt4ndd0unm3z9u5t48y6ucv4r5sg7lk98c77ctvjczkspk5qprc90gx",
        amount_msat=None,
        description="Please consider supporting this project",
        payee_pubkey=None,
    ),
)

_OLD_NONSENSE = (
    f"{_T}{_P}{_NONSENSE}{_MINUTE}yk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyak"
    "ky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrn"
)
_OLD_COFFEE = f"{_T}{_P}{_COFFEE}{_MINUTE}{_S}{_F}"

INVALID = (
    (
        "unknown even feature 100",
        (
            f"lnbc25m1{_T}{_P}{_BEANS}{_S}9q4psqqqqqqqqqqqqqqqqsgqtqyx5vggfcsll4wu246hz02kp85x4katwsk963"
            "9we5n5yngc3yhqkm35jnjw4len8vrnqnf5ejh0mzj9n3vz2px97evektfm2l6wqccp3y7372"
        ),
        "unknown features [100]",
    ),
    ("wrong checksum", f"lnbc2500u1{_OLD_NONSENSE}t", "wrong checksum"),
    ("no separator", f"{_OLD_NONSENSE}y", "no prefix and separator"),
    ("mixed case", f"LNBC2500u1{_OLD_NONSENSE}y", "mixes upper and lower case"),
    (
        "signature that no key can have made",
        (
            f"lnbc2500u1{_OLD_COFFEE}wgt7mcn5yqw3yx0w94pswkpq6j9uh6xfqqqtsk4tnarugeektd4hg5975x9am52rz4q"
            "skukxdmjemg92vvqz8nvmsye63r5ykel43pgz7zq0g2"
        ),
        "signature nobody can have made",
    ),
    (
        "too short",
        f"lnbc1{_T}{_P}dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6na6hlh",
        "too short",
    ),
    (
        "unknown multiplier",
        (
            f"lnbc2500x1{_OLD_COFFEE}rrzc4cvfue4zp3hggxp47ag7xnrlr8vgcmkjxk3j5jqethnumgkpqp23z9jclu3v0a7"
            "e0aruz366e9wqdykw6dxhdzcjjhldxq0w6wgqcnu43j"
        ),
        "malformed amount",
    ),
    (
        "a part of a millisatoshi",
        (
            f"lnbc2500000001p1{_OLD_COFFEE}0lzc236j96a95uv0m3umg28gclm5lqxtqqwk32uuk4k6673k6n5kfvx3d2h8s"
            "295fad45fdhmusm8sjudfhlf6dcsxmfvkeywmjdkxcp99202x"
        ),
        "part of a millisatoshi",
    ),
    (
        "no payment secret",
        (
            f"lnbc20m1{_T}{_P}{_H}{_F}7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9rxrydzd06"
            "dfeawfk6swupvz4erwnyutnjq7x39ymw6j38gp49qdkj"
        ),
        "no payment secret",
    ),
    (
        "high-S signature although the payee is named",
        (
            f"lnbc25m1p70xwfz{_P}{_DONATION}np4q0n326hr8v9zprg8gsvezcch06gfaqqhde2aj730yg0durunfhv66{_S}"
            f"{_F}{_S}p5cfzp9ugllvk03rltd6hvndxj26ux6gcxc5azyxk060rj9tzghct5zvjlps76gx8wpq5yuu79688k8gnm2"
            "c0al6v608s96l0xzrrlqqwnzxmu"
        ),
        "not signed by the payee",
    ),
)
