"""Every number that the simulated distributor is made from: the truth, before chance.

A customer decides at each order whether to order again. It is lost to a cause with the monthly hazard that stands here
times the usual months between its orders; else the next order follows after a gap. So each order churns, by the rule of
three months, with a known chance. A representative who leaves in February shows in the churn from May on.
"""

SEED = 20
SIZE = 1.0  # of the distributor; smaller for tests
OPENED, OBSERVED_FROM, AS_OF = "2012-01-01", "2022-01-01", "2026-01-07"
JOIN = 8.4  # new customers in a month

REGIONS = {"华东": (0.34, 8), "华南": (0.26, 6), "华中": (0.22, 6), "西南": (0.18, 4)}  # share, representatives
KINDS = ("医院", "连锁药店", "单体药店", "诊所")
KIND_BY_SIZE = ((0.75, 0.25, 0, 0), (0.45, 0.45, 0.1, 0), (0.2, 0.3, 0.4, 0.1), (0.03, 0.12, 0.5, 0.35))
MEDIAN, SIGMA = 8_000, 1.78  # monthly purchases in yuan, log-normal: a fifth of the customers brings 80 %
BANDS = {"100万元以上": 1_000_000, "50-100万元": 500_000, "10-50万元": 100_000, "10万元以下": 0}  # a year, from
MARGIN = (0.055, 0.08, 0.12, 0.18)  # by band: the small ones earn most
GAP_DAYS, GAP_SHAPE = (18, 22, 28, 40), 8  # between orders, by band
RARE = (0.15, 1.35)  # of the small: share that orders less often, gaps times
COMES_BACK = (0.06, 130, 420)  # of the lost, by themselves, after so many days
CONDITIONS = {"好": 0.50, "良好": 0.35, "一般": 0.15}  # 经营状况, drawn anew for 15 % every half-year
CONDITION_CHANGES = 0.15

CAUSES = {  # cause -> monthly hazard by band
    "competitor": (0.0025, 0.003, 0.004, 0.004),
    "neglected": (0.0, 0.0, 0.001, 0.011),  # nobody visits the small ones
    "delivery": (0.001, 0.001, 0.0015, 0.002),
    "solvency": (0.001, 0.001, 0.001, 0.001),  # times 10 in condition 一般
    "closed": (0.0, 0.0005, 0.001, 0.003),
    "staff_left": (0.0, 0.0, 0.0, 0.0),
    "grey_market": (0.0, 0.0, 0.0, 0.0),
    "rebate": (0.0, 0.0, 0.0, 0.0),
}
STAYS = ("rare", "pushed")  # silent for three months, and not lost
LEAVES = {"代表03": "2023-06-30", "代表11": "2024-05-31", "代表16": "2025-02-28", "代表22": "2025-06-30"}
SUCCESSORS = ("代表25", "代表26", "代表27", "代表28")
TAKEN = ((0.20, 0.20, 0.12, 0.03), 150)  # added monthly hazard by band, for so many days
FALLS = (0.45, 0.3)  # of those who stay with the successor: share that buys less for good, down to
DECLINES = 0.002  # monthly hazard of the same fall for any other reason
SWAP = ("2024-03-01", "代表05", "代表06")  # two representatives change customers: nothing comes of it
GREY = ("2024-06-01", "2024-11-30", 0.035)  # 华东 pharmacies: added hazard
REBATE = ("2025-01-01", "2025-06-30", 0.04)  # 连锁药店: added hazard
PUSH = ("华南", "2024-12-01", "2024-12-31", 0.2, 110)  # stock pushed to customers: share of orders, days of stock
DESK = ("2025-04-01", 0.5, 0.3, 40)  # small customers: share called, neglect left, yuan a month

WORDS = {  # column of the form -> reason, chance of a tick beside the main one
    "竞品抢走": ("competitor.poached", 0.12),
    "价格偏高": ("price.too_high", 0.15),
    "返点不到位": ("price.rebate", 0.08),
    "业务员离职": ("relationship.staff_left", 0.03),
    "缺少走访": ("relationship.small_customer_neglected", 0.08),
    "窜货低价": ("company.grey_market", 0.04),
    "压货库存高": ("company.policy_harsh", 0.04),
    "缺货送货慢": ("service.delivery", 0.08),
    "回款困难": ("natural.solvency", 0.05),
    "停业": ("natural.closed", 0.0),
    "其他": ("unknown.other", 0.03),
}
SAYS = {  # true cause -> what the form gives as main reason; the rest is whatever people tick
    "competitor": {"竞品抢走": 0.65, "价格偏高": 0.25},
    "neglected": {"缺少走访": 0.40, "价格偏高": 0.30},
    "delivery": {"缺货送货慢": 0.75},
    "solvency": {"回款困难": 0.80},
    "closed": {"停业": 0.95},
    "staff_left": {"业务员离职": 0.45, "竞品抢走": 0.35},  # the successor fills in the form
    "grey_market": {"窜货低价": 0.65, "价格偏高": 0.25},
    "rebate": {"返点不到位": 0.75},
    "rare": {},
    "pushed": {"压货库存高": 0.70},
}
ANSWERED = (0.95, 0.90, 0.80, 0.55)  # forms with an answer, by band: the small ones are not asked
SEASON = (1.05, 0.80, 1.0, 1.0, 1.0, 0.98, 0.97, 0.97, 1.0, 0.98, 1.05, 1.15)
VISITS = (2.0, 1.0, 0.4, 0.03)  # of a representative in a month, by band
