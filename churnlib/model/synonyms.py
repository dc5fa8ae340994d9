"""What columns and files are called in Chinese and English records: how `make new` guesses what is what."""

from __future__ import annotations

from churnlib.model.vocabulary import coded

# concept -> headers, the most telling ones first; compared without case, blanks and punctuation
CONCEPTS = coded(
    """
    customer_id: 客户编号 客户号 客户ID 客户代码 客户编码 客户标识 用户编号 用户号 用户ID 会员号 会员编号 会员卡号
    customer_id: 会员ID 户号 账号 卡号 车架号 车主编号 商户编号 经销商编号 终端编号 编号 customer_id cust_id client_id
    customer_id: user_id member_id account_id account_no subscriber_id clientnum msno vin customer client id
    start: 入网日期 入网时间 开户日期 开户时间 注册日期 注册时间 入会日期 入会时间 加入日期 业务起始时间 业务开始时间
    start: 合作开始日期 合作起始日期 签约日期 购车日期 交车日期 开卡日期 建档日期 首次消费日期 生效日期 起始日期
    start: 起始时间 开始日期 开始时间 start_date start join_date joined signup_date sign_up_date registration_date
    start: registered open_date registration_init_time opened customer_since activation_date created_at
    start: account_created
    end: 离网日期 离网时间 销户日期 销户时间 业务终止时间 业务结束时间 合作终止日期 流失日期 退会日期 注销日期
    end: 解约日期 失效日期 终止日期 终止时间 结束日期 结束时间 end_date end churn_date churned_on close_date closed
    end: cancel_date cancellation_date termination_date left_on
    tenure: 在网月数 在网天数 在网时长 网龄 客龄 入网月数 会员月数 合作月数 tenure tenure_months months_on_book
    tenure: account_length account_age customer_age_months months_active
    churned: 是否流失 流失标志 流失标识 是否离网 离网标志 是否销户 是否流失客户 流失 churn churned churn_label exited
    churned: attrition_flag attrition is_churn is_churned churn_flag churn_value customer_status left
    outcome: 离网类型 流失类型 终止类型 销户类型 流失结局 离网方式 终止原因 outcome churn_type end_type
    date: 交易日期 账单日期 消费日期 购买日期 进厂日期 到店日期 来厂日期 订单日期 下单时间 下单日期 缴费日期 发货日期
    date: 销售日期 投诉日期 联系日期 回访日期 调查日期 接触日期 发生日期 日期 账期 时间 date order_date
    date: transaction_date purchase_date invoice_date bill_date visit_date contact_date event_date timestamp day
    amount: 交易金额 消费金额 账单金额 实付金额 订单金额 购买金额 销售金额 金额 消费额 销售额 实收 应收 收入 费用
    amount: amount total total_amount amount_paid actual_amount_paid paid_amount payment_value price revenue sales
    amount: spend payment dollars amt
    kind: 接触类型 交易类型 业务类型 事件类型 投诉类型 活动类型 类型 类别 kind type category
    quantity: 数量 次数 件数 时长 通话分钟 使用量 流量 里程 quantity qty units duration minutes
    item: 商品 商品名称 品名 维修项目 服务项目 项目 产品名称 item product_name sku article description
    score: 评分 满意度评分 满意度得分 满意度 得分 打分 分数 score rating csat nps satisfaction
    from: 起 自 from
    until: 止 至 截止日期 截止 until to
    category: 投诉类别 投诉分类 问题类别 问题分类 投诉原因 complaint_category complaint_type issue_type
    version: 表单版本 问卷版本 表格版本 版本 form_version survey_version version
    resolved: 是否解决 解决情况 是否处理 resolved is_resolved
    text: 投诉内容 客户意见 意见 内容 备注 描述 text comment comments notes remarks
    follow_up: 回访结果 回访状态 回访情况 联系结果 follow_up followup_result
    reasons: 离网原因 流失原因 离开原因 退网原因 原因 reasons reason churn_reason
    lost_to: 流向运营商 流向 去向 转投 竞争对手 lost_to competitor
    contract_id: 合同编号 合约编号 合同号 协议号 协议编号 contract_id contract_no
    product: 产品 产品名称 业务 业务名称 product
    plan: 套餐 资费套餐 plan tariff
    transferred_to: 转入合同 转至合同 转入 transferred_to
    attribute: 属性 变更项 变更项目 attribute
    value: 值 属性值 变更后 取值 内容 value
    campaign: 活动名称 营销活动 活动 campaign campaign_name
    arm: 组别 分组 试验分组 实验分组 arm group treatment_group
    channel: 渠道 联系渠道 联系方式 channel
    adviser: 客服 服务顾问 专员 外呼员 adviser advisor agent
    offer: 优惠 优惠内容 礼品 代金券 offer voucher
    cost: 成本 活动成本 cost
    return_date: 回网日期 回厂日期 返回日期 挽回日期 return_date
    revenue_after: 后三月收入 挽回后收入 revenue_after
    result: 结果 活动结果 outcome result
    label_zh: 事件 事件名称 事件说明 标题 event title label
    label_en: 英文说明 英文名称 label_en
    scope: 影响范围 范围 scope
    industry: 行业 industry
    period: 期间 年份 period year
    churn_rate: 流失率 月流失率 年流失率 churn_rate
    source: 来源 数据来源 source
    monthly_fee: 月租 月费 月租费 月消费 monthly_fee monthly_charges monthlycharges
    service_cost: 服务成本 客户服务成本 service_cost
    margin: 利润率 毛利率 margin
""",
    " ",
)

# concept -> what else such a header may look like, in words parted by single blanks; the first header that fits is it
_DAY, _TAG = "(日期|时间|年月|月份|日)$", "(编号|编码|代码|号码?|id)$"
PATTERNS: dict[str, str] = {
    "customer_id": "^id$|(customer|client|member|subscriber|user|policy ?holder) ?(unique )?(id|no|number|code|key)$"
    f"|(客户|顾客|会员|用户|车主|商户|门店|终端|学员|货主|司机).*{_TAG}",
    "contract_id": f"(contract|policy|subscription|agreement|loan) ?(id|no|number)$|(合同|合约|协议|保单|订阅).*{_TAG}",
    "start": "(begin|start|incept|effective|activat|join|sign|regist|open|creat|enrol|subscri)\\w* (date|time|on|at)$"
    f"|(开始|起始|起保|开户|开卡|开通|入网|入会|注册|签约|加入|激活|建档).*{_DAY}",
    "end": "(end|cancel|terminat|clos|churn|lapse|leav|left|exit|deactivat|unsubscri)\\w* (date|time|day|on|at)$"
    f"|(终止|结束|离网|离开|退(?!货|款)|销户|注销|解约|流失|停用).*{_DAY}",
    "date": "(order|purchase|invoice|transaction|visit|bill|payment|usage|snapshot) .*(date|time|timestamp|day|month)$"
    f"|(统计|账|数据|快照|消费|交易|订单|进店|到店|下单|支付|结算|维修|开单).*({_DAY}|月$|期$)",
    "tenure": "(months?|years?|days?) .*(service|book|company|customer|member|subscri|network)|tenure"
    "|(account|subscription|service|customer|membership) +(length|age|months?|duration)"
    "|(在网|入网|入会|合作|会员|使用).*(月数|天数|年限|时长|年数)",
    "quantity": "^(number|num|count) of ",
    "amount": "(dollar|order|payment|purchase|transaction|net|gross|total) (value|amount|revenue|sales)$"
    "|(消费|实收|实付|应收|支付|订单|结算|维修|当月|本月).*(金额|额|费|消费)$",
}

# table -> its columns, each with the concepts that may stand for it
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "customers": {"start_date": ("start",), "end_date": ("end",)},
    "contracts": {
        "start_date": ("start", "date"),
        "end_date": ("end",),
        "product": ("product", "plan"),
    },
    "assignments": {"from_date": ("start", "from"), "to_date": ("end", "until")},
    "activity": {},
    "contacts": {},
    "exit_survey": {},
    "events": {"end_date": ("end",), "date": ("date", "start")},
    "campaigns": {"outcome": ("result",)},
    "benchmarks": {},
}

# words in names of files and sheets
FILES = coded(
    """
    customers: 客户档案 客户资料 客户信息 会员档案 会员资料 用户资料 名单 customer member client
    contracts: 合同 合约 协议 保单 contract subscription policies
    assignments: 变更 归属 assignment
    activity: 账单 交易 消费 订单 购买 进厂 维修 流水 销售 发货 activity order purchase bill transaction visit sales
    contacts: 投诉 满意度 接触 退货 服务记录 contact complaint satisfaction
    exit_survey: 回访 流失原因 流失情况 离网调查 survey exit
    events: 事件 大事记 event
    campaigns: 活动 挽留 招揽 营销 campaign
    benchmarks: 对比 对标 benchmark
""",
    " ",
)

# words in a file's name -> the kind of contact that the whole file holds
CONTACT_FILES = {"投诉": "complaint", "complaint": "complaint", "满意度": "satisfaction"}
CONTACT_FILES |= {"satisfaction": "satisfaction", "退货": "return", "回访": "call"}

# parts of the company's words for reasons -> the reason that they most likely mean, tried in this order
_REASONS = coded("""
    price.fees: 手续费, fee
    price.rate_inflexible: 利率, 利息
    price.unstable: 上涨, 涨价, 调价
    price.too_high: 资费, 价格, 价高, 太贵, 偏贵, 收费, 贵, price, expensive, cost
    trust.invoice: 争议, 乱扣, 账单, invoice, billing
    trust.promise_broken: 承诺, 虚假, promise
    competitor.poached: 挖走, 挖角
    competitor.offer: 竞争, 竞品, 对手, 其他品牌, 同行, competitor
    access.network: 信号, 网络, 覆盖, 断线, network, signal, coverage
    access.distance: 距离, 太远, 路远, distance
    access.transport: 交通, transport
    natural.moved: 搬, 外地, 异地, 出国, moved, relocat
    natural.closed: 停业, 倒闭, 关闭, 停止经营, closed
    natural.sold: 卖车, 转让, 过户, sold
    natural.life_stage: 不需要, 不再需要, 用不上, 毕业, no longer needed
    natural.purchasing_power: 经济困难, 经济原因, 收入下降, afford
    service.complaint_unresolved: 投诉, complaint
    service.attitude: 态度, attitude
    service.efficiency: 等待, 排队, 太慢, 效率, slow, waiting
    service.delivery: 缺货, 送货, 配送, 发货, delivery
    service.damaged: 破损, 损坏, 出错, damaged
    service.aftersales: 售后
    service.technical: 技术, technical
    service.procedure: 手续, 繁琐, procedure
    relationship.staff_left: 离职, 跳槽
    relationship.manager_changed: 经理, 业务员
    relationship.no_contact: 联系少, 无人联系, 缺乏沟通
    product.outdated: 老旧, 陈旧, 过时, outdated
    product.needs_mismatch: 不符, 不适合, 不合适, mismatch
    product.range: 品种, 选择少, range
    product.function: 功能, feature, function
    product.quality: 质量, 品质, quality
""")
REASONS = {word: code for code, words in _REASONS.items() for word in words}

# attribute -> the headers that mean it; the first one is its Chinese label
_HEADERS = coded(
    """
    name: 客户名称 客户姓名 姓名 名称 会员姓名 车主姓名 车主 联系人 name full_name surname last_name
    phone: 联系电话 电话 手机 手机号 手机号码 联系方式 phone mobile telephone
    address: 地址 通讯地址 联系地址 address
    email: 邮箱 电子邮箱 email e_mail
    id_card: 身份证 身份证号 证件号码 id_card
    legal_representative: 法人代表 法人
    plate: 车牌号 车牌 plate
    region: 大区 区域 地区 片区 region area
    province: 省份 省 province state
    city: 城市 市 city
    gender: 性别 gender sex
    age: 年龄 age
    plan: 套餐 资费套餐 plan tariff
    brand: 品牌 brand
    payment: 付费方式 付费类型 payment_method payment_type
    contract: 合约期 合同期限 contract_type contract
    customer_type: 客户类型 客户类别 用户类型 customer_type
    level: 会员等级 客户等级 等级 积分等级 level tier
    manager: 客户经理 业务员 销售代表 account_manager manager
    adviser: 服务顾问 adviser advisor
    channel: 渠道 入网渠道 来源渠道 channel
    model: 车型 机型 model
    warranty: 保内/保外 保内保外 质保 是否保内 warranty
    distance: 距离 distance
    business_condition: 经营状况 business_condition
    annual_sales: 年销售量 年销售额 annual_sales
    side: 客户一方 车主/货主 角色 side
    birthday: 出生日期 生日 birthday
""",
    " ",
)
ATTRIBUTES = {word: name for name, words in _HEADERS.items() for word in words}
PERSONAL = ("name", "phone", "address", "email", "id_card", "legal_representative", "plate", "birthday")

# which segment a report looks at first, where nobody says: what the company sells comes before who buys it
FIRST_SEGMENTS = ("contract", "plan", "brand", "customer_type", "region", "province", "channel", "level", "payment")

# attribute -> its label in Chinese and English
_ENGLISH = {"contract": "Contract term", "manager": "Account manager", "adviser": "Service adviser"}
LABELS = {name: (words[0], _ENGLISH.get(name, name.replace("_", " ").capitalize())) for name, words in _HEADERS.items()}
